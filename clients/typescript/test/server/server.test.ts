// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// These tests call a server. test/conformance starts them and passes its parameters in the environment.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { connect } from "../../examples/axios.js";
import { ApiError, Client, type ClientOptions, Code, memoryStore } from "../../src/index.js";
import { times } from "../stub.js";
import { code, untilCodesLast } from "./totp.js";

const baseUrl = given("BASE_URL");
const credentials = { username: given("USERNAME"), password: given("PASSWORD") };
const cluster = given("CLUSTER");
const namespace = given("NAMESPACE");
const madeNamespace = given("MADE_NAMESPACE");
/** sessions are active sessions with expired access tokens. */
const sessions = JSON.parse(given("SESSIONS")) as { accessToken: string; refreshToken: string }[];

function client(options: Partial<ClientOptions> = {}): Client {
  return new Client({ baseUrl, ...options });
}

async function loggedIn(options: Partial<ClientOptions> = {}): Promise<Client> {
  const c = client(options);
  await c.login(credentials);
  return c;
}

/** counting counts the requests whose path has a suffix. */
function counting(suffix: string) {
  const counter = {
    calls: 0,
    fetch: (async (input, init) => {
      counter.calls += new URL(String(input)).pathname.endsWith(suffix) ? 1 : 0;
      return fetch(input, init);
    }) as typeof fetch,
  };
  return counter;
}

describe("the client", () => {
  it("logs in, and is told when the password is wrong", async () => {
    const c = client();
    await assert.rejects(c.login({ ...credentials, password: "not the password" }), { code: Code.Unauthenticated });
    assert.equal(c.loggedIn, false);
    const { user } = await c.login(credentials);
    assert.equal(user.username, credentials.username);
    await c.logout();
    assert.equal(c.loggedIn, false);
  });

  it("writes and reads objects with their types", async () => {
    const c = await loggedIn();
    const objects = { cluster, namespace, resource: "configmaps" };
    for (const name of ["one", "two", "three"]) {
      const { data } = await c.post("/clusters/{cluster}/namespaces/{namespace}/resources/{resource}", {
        path: objects,
        body: {
          apiVersion: "v1",
          kind: "ConfigMap",
          metadata: { name, labels: { test: "typescript" } },
          data: { key: name },
        },
      });
      assert.equal(data.metadata.namespace, namespace);
    }
    const names: (string | undefined)[] = [];
    for await (const object of c.items("/clusters/{cluster}/namespaces/{namespace}/resources/{resource}", {
      path: objects,
      query: { labelSelector: "test=typescript", limit: 1 },
    })) {
      names.push(object.metadata.name);
    }
    assert.deepEqual(names, ["one", "three", "two"]);
    const { data: tried } = await c.patch(
      "/clusters/{cluster}/namespaces/{namespace}/resources/{resource}/{name}/dry-run",
      {
        path: { ...objects, name: "one" },
        contentType: "application/merge-patch+json",
        body: { metadata: { annotations: { changed: "yes" } } },
      },
    );
    assert.equal(tried.proposed?.raw.metadata.annotations?.["changed"], "yes");
    await c.delete("/clusters/{cluster}/namespaces/{namespace}/resources/{resource}/{name}", {
      path: { ...objects, name: "two" },
      query: { propagationPolicy: "Background", gracePeriodSeconds: 0 },
    });
    const gone = c.get("/clusters/{cluster}/namespaces/{namespace}/resources/{resource}/{name}", {
      path: { ...objects, name: "two" },
    });
    await assert.rejects(
      gone,
      (error) => error instanceof ApiError && error.code === Code.NotFound && /^req_/.test(error.requestId),
    );
  });

  it("renews an expired session once, for all requests", async () => {
    const counter = counting("/auth/refresh");
    const store = memoryStore(sessions[0]);
    const c = client({ store, fetch: counter.fetch });
    for (const { data } of await Promise.all(times(20, () => c.get("/users/me")))) {
      assert.equal(data.username, credentials.username);
    }
    assert.equal(counter.calls, 1);
    assert.notEqual(store.load().refreshToken, sessions[0]?.refreshToken);
  });

  it("is told once when its session has ended", async () => {
    const ended: ApiError[] = [];
    const c = await loggedIn({ ended: (error) => ended.push(error) });
    const { data } = await c.get("/users/me/sessions");
    const session = data.find((s) => s.current)?.id;
    assert.ok(session);
    await (await loggedIn()).delete("/users/me/sessions/{session}", { path: { session } });
    while (ended.length === 0) {
      await Promise.allSettled(times(10, () => c.get("/users/me")));
    }
    assert.equal(ended.length, 1);
    assert.equal(c.loggedIn, false);
  });

  it("gets through although there are more requests than one user may have at once", async () => {
    let refused = 0;
    const c = await loggedIn({
      maxPauseSeconds: 120,
      fetch: async (input, init) => {
        const response = await fetch(input, init);
        refused += (await response.clone().json()).code === Code.TooManyRequests ? 1 : 0;
        return response;
      },
    });
    const list = "/clusters/{cluster}/namespaces/{namespace}/resources/{resource}";
    const path = { cluster, namespace, resource: "configmaps" };
    for (let round = 0; refused === 0 && round < 5; round++) {
      await Promise.all(times(200, () => c.get(list, { path, query: { source: "live" } }))); // those of the cache are fast
    }
    if (!baseUrl.includes("/apis/")) { // kube-apiserver has a queue, so that it may pass on few requests at once
      assert.notEqual(refused, 0);
    }
  });
});

describe("the interceptor for axios", () => {
  it("renews an expired session once, for all requests", async () => {
    let refreshed = 0;
    const http = connect(baseUrl, sessions[1] ?? assert.fail(), {
      refreshed: () => refreshed++,
      freshCode: async () => undefined,
      loggedOut: () => assert.fail("logged out"),
    });
    for (const { data } of await Promise.all(times(20, () => http.get("/users/me")))) {
      assert.equal(data.data.username, credentials.username);
    }
    assert.equal(refreshed, 1);
  });

  it("says when the session has ended", async () => {
    let loggedOut = 0;
    const http = connect(
      baseUrl,
      { accessToken: sessions[2]?.accessToken ?? "", refreshToken: "none" },
      {
        refreshed: () => assert.fail("refreshed"),
        freshCode: async () => undefined,
        loggedOut: () => loggedOut++,
      },
    );
    await assert.rejects(http.get("/users/me"), { code: Code.Unauthenticated });
    assert.equal(loggedOut, 1);
  });
});

// This is the last test, because a second factor ends the sessions of the others.
describe("the second factor", () => {
  it("is asked for at the login and later", async () => {
    const plain = await loggedIn();
    const { data: setup } = await plain.post("/auth/2fa/setup", { body: {} });
    await untilCodesLast();
    await plain.post("/auth/2fa/enable", { body: { code: code(setup.secret, -1) } });
    await plain.logout();

    const atLogin = ["000000", code(setup.secret, 0)];
    const later = ["000000", code(setup.secret, 1)];
    const c = client({
      secondFactor: async () => ({ code: atLogin.shift() ?? "" }),
      freshCode: async () => later.shift(),
    });
    await assert.rejects(
      client().login(credentials),
      (error) => error instanceof ApiError && error.challenge?.requires2fa === true,
    );
    const { user } = await c.login(credentials);
    assert.equal(user.totpEnabled, true);
    const { data } = await c.post("/clusters/{cluster}/resources/{resource}", {
      path: { cluster, resource: "namespaces" },
      body: { apiVersion: "v1", kind: "Namespace", metadata: { name: madeNamespace } },
    });
    assert.equal(data.metadata.name, madeNamespace);
    assert.deepEqual([atLogin, later], [[], []]);
  });
});

function given(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set: see test/conformance`);
  return value;
}
