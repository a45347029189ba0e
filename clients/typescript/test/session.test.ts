// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ApiError, Client, Code, memoryStore } from "../src/index.js";
import { stub, times } from "./stub.js";

const renewed = { accessToken: "new", refreshToken: "next", expiresIn: 900, user: {} };

function expiring(refresh: () => object | Promise<object>) {
  return stub(async ({ path, token }) => {
    if (path === "/auth/refresh") {
      return refresh();
    }
    return token === "Bearer new" ? { data: path } : { code: Code.TokenExpired };
  });
}

const old = () => memoryStore({ accessToken: "old", refreshToken: "first", deviceToken: "device" });
const me = (client: Client, signal?: AbortSignal) => client.get("/users/me", { signal });
const refreshes = (received: { path: string }[]) => received.filter((r) => r.path === "/auth/refresh").length;

describe("a session", () => {
  it("is renewed once for all requests that find it expired", async () => {
    const server = expiring(() => ({ data: renewed }));
    const store = old();
    const client = new Client({ ...server, store });
    await Promise.all(times(20, () => me(client)));
    assert.equal(refreshes(server.received), 1);
    assert.deepEqual(store.load(), { accessToken: "new", refreshToken: "next", deviceToken: "device" });
  });

  it("is not renewed again for an answer that comes late", async () => {
    let slow: () => void = () => {};
    const late = new Promise<void>((resolve) => (slow = resolve));
    const server = stub(async ({ path, token }) => {
      if (path === "/clusters") {
        await late;
      }
      return path === "/auth/refresh" ? { data: renewed } : token === "Bearer new" ? {} : { code: Code.TokenExpired };
    });
    const client = new Client({ ...server, store: old() });
    const first = client.get("/clusters");
    await me(client);
    slow();
    await first;
    assert.equal(refreshes(server.received), 1);
  });

  it("holds new requests up while it is being renewed", async () => {
    let renew: () => void = () => {};
    const server = expiring(() => new Promise((resolve) => (renew = () => resolve({ data: renewed }))));
    const client = new Client({ ...server, store: old() });
    const first = me(client);
    await until(() => refreshes(server.received) === 1);
    const second = client.get("/clusters");
    await until(() => true);
    assert.equal(server.received.length, 2, "the second request was sent with a token that is known to have expired");
    renew();
    await Promise.all([first, second]);
  });

  it("ends once, and not for every request", async () => {
    const server = expiring(() => ({ code: Code.Unauthenticated }));
    const ended: ApiError[] = [];
    const store = old();
    const client = new Client({ ...server, store, ended: (error) => ended.push(error) });
    for (const outcome of await Promise.allSettled(times(20, () => me(client)))) {
      assert.equal(outcome.status, "rejected");
    }
    assert.equal(ended.length, 1);
    assert.deepEqual(store.load(), { deviceToken: "device" });
    assert.equal(client.loggedIn, false);
  });

  it("ends where the new token has expired too", async () => {
    const server = stub(({ path }) => (path === "/auth/refresh" ? { data: renewed } : { code: Code.TokenExpired }));
    let ended = 0;
    const client = new Client({ ...server, store: old(), ended: () => ended++ });
    await assert.rejects(me(client), { code: Code.TokenExpired });
    assert.equal(refreshes(server.received), 1);
    assert.equal(ended, 1);
  });

  it("outlives a network that fails as it is renewed", async () => {
    let fails = true;
    const server = expiring(() => {
      if (fails) {
        throw new TypeError("fetch failed");
      }
      return { data: renewed };
    });
    const client = new Client({ ...server, store: old(), ended: () => assert.fail("the session has ended") });
    await assert.rejects(me(client), TypeError);
    fails = false;
    await me(client);
  });

  it("is not replaced by the renewal of the one before", async () => {
    const store = old();
    const server = stub(({ path, token }) => {
      if (path === "/auth/refresh") {
        store.save({ accessToken: "another", refreshToken: "another" });
        return { data: renewed };
      }
      return token === "Bearer another" ? {} : { code: Code.TokenExpired };
    });
    await me(new Client({ ...server, store }));
    assert.equal(store.load().accessToken, "another");
  });

  it("is not ended by what is said of the one before", async () => {
    let slow: () => void = () => {};
    const late = new Promise<void>((resolve) => (slow = resolve));
    const server = stub(async ({ path }) => {
      if (path === "/auth/login") {
        return { data: renewed };
      }
      await late;
      return { code: Code.Unauthenticated };
    });
    const client = new Client({ ...server, store: old(), ended: () => assert.fail("the session has ended") });
    const before = me(client);
    await until(() => server.received.length === 1);
    await client.login({ username: "alice", password: "secret" });
    slow();
    await assert.rejects(before, { code: Code.Unauthenticated });
    assert.equal(client.loggedIn, true);
  });

  it("stays where the old password was wrong", async () => {
    const server = stub(() => ({ code: Code.Unauthenticated }));
    const client = new Client({ ...server, store: old(), ended: () => assert.fail("the session has ended") });
    await assert.rejects(client.put("/users/me/password", { body: { oldPassword: "a", newPassword: "b" } }), {
      code: Code.Unauthenticated,
    });
    assert.equal(client.loggedIn, true);
  });

  it("goes on for others when one request is aborted", async () => {
    let renew: () => void = () => {};
    const server = expiring(() => new Promise((resolve) => (renew = () => resolve({ data: renewed }))));
    const client = new Client({ ...server, store: old() });
    const abort = new AbortController();
    const given = me(client, abort.signal);
    const other = me(client);
    await until(() => refreshes(server.received) === 1);
    abort.abort();
    await assert.rejects(given, { name: "AbortError" });
    renew();
    await other;
  });
});

describe("a fresh code", () => {
  const guarded = (codes: string[]) =>
    stub(({ code }) => {
      if (code === null) {
        return { code: Code.TwoFactorRequired, data: { requires2fa: false, reverify: true } };
      }
      const good = codes.indexOf(code);
      return good < 0 ? { code: Code.TwoFactorFailed } : (codes.splice(good, 1), {});
    });

  it("is asked for one request at a time, and for each of them", async () => {
    const codes = ["1", "2", "3"];
    const server = guarded([...codes]);
    let open = 0;
    const freshCode = async () => {
      assert.equal(++open, 1, "two questions at once");
      await new Promise((resolve) => setTimeout(resolve, 1));
      open--;
      return codes.shift();
    };
    const client = new Client({ ...server, freshCode });
    await Promise.all(times(3, (i) => client.delete("/users/{user}", { path: { user: `user-${i}` } })));
  });

  it("is asked for again where it was wrong, until nobody gives one", async () => {
    const asked: number[] = [];
    const answers = ["wrong", "right", "wrong", undefined];
    const client = new Client({
      ...guarded(["right"]),
      freshCode: async (refused) => {
        asked.push(refused.code);
        return answers.shift();
      },
    });
    const end = () => client.delete("/sessions/{session}", { path: { session: "one" } });
    await end();
    await assert.rejects(end(), { code: Code.TwoFactorFailed });
    assert.deepEqual(asked, [
      Code.TwoFactorRequired,
      Code.TwoFactorFailed,
      Code.TwoFactorRequired,
      Code.TwoFactorFailed,
    ]);
  });

  it("is asked for once where it is good for the session", async () => {
    let given = false;
    const server = stub(({ path, body }) => {
      if (path === "/auth/2fa/reverify") {
        given = (body as { code: string }).code === "right";
        return given ? { data: { reverified: true, expiresIn: 300 } } : { code: Code.TwoFactorFailed };
      }
      return given ? {} : { code: Code.TwoFactorRequired, data: { reverify: true } };
    });
    const asked: number[] = [];
    const client = new Client({
      ...server,
      reverify: true,
      freshCode: async (refused) => {
        asked.push(refused.code);
        return refused.code === Code.TwoFactorFailed ? "right" : "wrong";
      },
    });
    await Promise.all(times(3, (i) => client.delete("/users/{user}", { path: { user: `user-${i}` } })));
    assert.deepEqual(asked, [Code.TwoFactorRequired, Code.TwoFactorFailed]);
    assert.ok(server.received.every((request) => request.code === null));
  });

  it("is not asked for at a login that needs a set-up", async () => {
    const data = { requires2fa: false, setupRequired: true, sessionToken: "s", accessToken: "a", refreshToken: "r" };
    const client = new Client({
      ...stub(() => ({ code: Code.TwoFactorRequired, data })),
      secondFactor: () => assert.fail("asked for a code"),
    });
    await assert.rejects(client.login({ username: "alice", password: "secret" }), { code: Code.TwoFactorRequired });
    assert.equal(client.loggedIn, true);
  });

  it("is not what a password is asked for with", async () => {
    const server = stub(() => ({
      code: Code.TwoFactorRequired,
      data: { reverify: true },
      meta: { field: "password" },
    }));
    const client = new Client({ ...server, freshCode: () => assert.fail("asked for a code") });
    await assert.rejects(client.post("/auth/2fa/setup", { body: {} }), { code: Code.TwoFactorRequired });
  });
});

describe("too many requests", () => {
  it("pause all requests, which then succeed", async () => {
    let refused = 0;
    const server = stub(() => (refused++ === 0 ? { code: Code.TooManyRequests, meta: { retryAfterSeconds: 1 } } : {}));
    const client = new Client({ ...server });
    const began = Date.now();
    const first = me(client);
    await until(() => refused === 1);
    await until(() => true);
    await Promise.all([first, ...times(5, () => me(client))]);
    assert.ok(Date.now() - began >= 1000, "nobody waited");
    assert.equal(server.received.length, 7);
  });

  it("are told to the caller where the pause is too long", async () => {
    const server = stub(() => ({ code: Code.TooManyRequests, meta: { retryAfterSeconds: 31 } }));
    await assert.rejects(me(new Client({ ...server })), {
      code: Code.TooManyRequests,
      meta: { requestId: "req_1", retryAfterSeconds: 31 },
    });
    assert.equal(server.received.length, 1);
  });

  it("can be given up", { timeout: 5000 }, async () => {
    const server = stub(() => ({ code: Code.TooManyRequests, meta: { retryAfterSeconds: 20 } }));
    const abort = new AbortController();
    const waiting = me(new Client({ ...server }), abort.signal);
    await until(() => server.received.length === 1);
    abort.abort();
    await assert.rejects(waiting, { name: "AbortError" });
  });
});

/** until yields until a condition is true. */
async function until(holds: () => boolean): Promise<void> {
  do {
    await new Promise((resolve) => setTimeout(resolve, 5));
  } while (!holds());
}
