// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";

import { ApiError, Client, Code, HttpError, webStore } from "../src/index.js";
import { stub } from "./stub.js";

describe("the client", () => {
  it("names every code of the document", async () => {
    const document = JSON.parse(await readFile(new URL("../../../openapi.json", import.meta.url), "utf8"));
    const schema = document.components.schemas["io.kubevision.dashboard.v1alpha1.Code"];
    const named = schema["x-enum-varnames"].map((name: string, i: number) => [name, schema.enum[i]]);
    assert.deepEqual({ ...Code }, Object.fromEntries(named));
  });

  it("escapes what it fills into a path", async () => {
    const server = stub(() => ({ data: {} }));
    const client = new Client({ ...server });
    await client.get("/users/{user}", { path: { user: "a/b?c=d" } });
    assert.equal(server.received[0]?.path, "/users/a%2Fb%3Fc%3Dd");
    for (const user of ["", ".", ".."]) {
      await assert.rejects(client.get("/users/{user}", { path: { user } }), TypeError);
    }
  });

  it("sends numbers and booleans of a query, and nothing for what is undefined", async () => {
    const server = stub(() => ({ data: [] }));
    await new Client({ ...server }).get("/clusters/{cluster}/resources/{resource}", {
      path: { cluster: "local", resource: "pods" },
      query: { limit: 5, includeMetrics: true },
    });
    assert.equal(server.received[0]?.path, "/clusters/local/resources/pods?limit=5&includeMetrics=true");
  });

  it("reads lists page by page", async () => {
    const server = stub(({ path }) =>
      path.includes("continue=two") ? { data: ["c"] } : { data: ["a", "b"], meta: { continue: "two" } },
    );
    const client = new Client({ ...server });
    const found: unknown[] = [];
    for await (const item of client.items("/clusters/{cluster}/resources/{resource}", {
      path: { cluster: "local", resource: "pods" },
    })) {
      found.push(item);
    }
    assert.deepEqual(found, ["a", "b", "c"]);
    assert.match(server.received[0]?.path ?? "", /limit=500$/);
  });

  it("tells answers that are not KubeVision's from its own", async () => {
    for (const [body, status] of [
      ["<html>", 502],
      ['{"kind":"Status"}', 401],
      ["[]", 200],
    ] as const) {
      const client = new Client({ baseUrl: "http://stub/api/v1", fetch: async () => new Response(body, { status }) });
      await assert.rejects(client.get("/users/me"), (error) => error instanceof HttpError && error.status === status);
    }
  });

  it("puts the token where kube-apiserver leaves it alone", async () => {
    const sent: Headers[] = [];
    const fetch: typeof globalThis.fetch = async (_, init) => {
      sent.push(new Headers(init?.headers));
      return Response.json({ code: 0, message: "success", data: {}, meta: { requestId: "req_1" } });
    };
    const store = { load: () => ({ accessToken: "mine" }), save: () => {} };
    const baseUrl = "https://kubernetes.example/apis/dashboard.kubevision.io/v1alpha1";
    await new Client({ baseUrl, fetch, store, headers: { Authorization: "Bearer kubernetes" } }).get("/users/me");
    assert.equal(sent[0]?.get("Authorization"), "Bearer kubernetes");
    assert.equal(sent[0]?.get("X-KubeVision-Token"), "mine");
  });

  it("says what stands in the way", () => {
    const meta = { requestId: "req_1" };
    assert.equal(new ApiError(Code.Conflict, "", { passwordChangeRequired: true }, meta).passwordChangeRequired, true);
    assert.equal(new ApiError(Code.Conflict, "", null, meta).passwordChangeRequired, false);
    assert.deepEqual(new ApiError(Code.TwoFactorRequired, "", { setupRequired: true }, meta).challenge, {
      setupRequired: true,
    });
    assert.equal(new ApiError(Code.TwoFactorFailed, "", null, meta).challenge, undefined);
  });

  it("keeps tokens in the storage of a browser, whatever stands there", () => {
    const kept = new Map<string, string>();
    const storage = {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
    };
    const store = webStore(storage);
    assert.deepEqual(store.load(), {});
    store.save({ accessToken: "a" });
    assert.deepEqual(webStore(storage).load(), { accessToken: "a" });
    for (const broken of ["{", "null", "1"]) {
      kept.set("kubevision", broken);
      assert.deepEqual(store.load(), {});
    }
  });
});
