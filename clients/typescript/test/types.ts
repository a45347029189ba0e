// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Verifies which calls compile and which do not. Nothing here is run.

import { ApiError, type Client, Code, type KubernetesObject, type Model } from "../src/index.js";

const path = { cluster: "local", resource: "deployments" };
const web = { ...path, name: "web" };

export async function compiles(client: Client): Promise<unknown[]> {
  const { data: login } = await client.post("/auth/login", { body: { username: "alice", password: "secret" } });
  const { data: users } = await client.get("/users");
  const { data: object, meta } = await client.get("/clusters/{cluster}/resources/{resource}/{name}", {
    path: { ...path, name: "web" },
  });
  const same: KubernetesObject = object;
  await client.post("/clusters/{cluster}/resources/nodes/{name}/drain", { path: { cluster: "local", name: "node-1" } });
  await client.post("/clusters/{cluster}/resources/batch-delete", {
    path: { cluster: "local" },
    body: [{ resource: "pods", name: "web-1", namespace: "demo" }],
  });
  await client.patch("/clusters/{cluster}/resources/{resource}/{name}", {
    path: web,
    contentType: "application/merge-patch+json",
    body: { spec: { paused: true } },
  });
  await client.patch("/clusters/{cluster}/resources/{resource}/{name}", {
    path: web,
    contentType: "application/json-patch+json",
    body: [{ op: "replace", path: "/spec/paused", value: false }],
  });
  const { data: nothing } = await client.delete("/users/{user}", { path: { user: "alice" } });
  const names: (string | undefined)[] = [];
  for await (const item of client.items("/clusters/{cluster}/resources/{resource}", { path })) {
    names.push(item.metadata.name, item.metadata.labels?.["app"]);
  }
  const model: Model<"Login"> = login;
  const error = new ApiError(Code.Forbidden, "", null, meta);
  const code: 0 | 40001 extends typeof error.code ? true : false = true;
  return [users[0]?.username, same, object["spec"], nothing, model, code];
}

export async function doesNotCompile(client: Client): Promise<void> {
  // @ts-expect-error There is no such path.
  await client.get("/nope");
  // @ts-expect-error The path has no such method.
  await client.delete("/users");
  // @ts-expect-error A parameter of the path is missing.
  await client.get("/clusters/{cluster}", {});
  // @ts-expect-error The body is missing.
  await client.post("/users");
  // @ts-expect-error There is no such field.
  await client.post("/users", { body: { usernme: "alice", password: "secret" } });
  // @ts-expect-error A number is not a text.
  await client.get("/clusters/{cluster}/resources/{resource}", { path, query: { limit: "5" } });
  // @ts-expect-error There is no such order.
  await client.get("/clusters/{cluster}/resources/{resource}", { path, query: { order: "up" } });
  // @ts-expect-error A patch requires its media type.
  await client.patch("/clusters/{cluster}/resources/{resource}/{name}", { path: web, body: {} });
  // @ts-expect-error The list of users has no pages.
  client.items("/users", {});
  // @ts-expect-error There is no such code.
  new ApiError(40301 + 1, "", null, { requestId: "" }).code === 1;
}
