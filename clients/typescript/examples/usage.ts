// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

import { ApiError, Client, Code } from "../src/index.js";

export async function main(ask: (question: string) => Promise<string | undefined>): Promise<void> {
  const client = new Client({
    baseUrl: "https://kubevision.example/api/v1",
    secondFactor: async () => {
      const code = await ask("Code of your authenticator");
      return code === undefined ? undefined : { code };
    },
    freshCode: (refused) => ask(refused.message),
    ended: () => console.log("Log in again"),
  });

  const { user } = await client.login({ username: "alice", password: (await ask("Password")) ?? "" });
  console.log(`Logged in as ${user.username}`);

  const pods = { cluster: "local", namespace: "demo", resource: "pods" };
  for await (const pod of client.items("/clusters/{cluster}/namespaces/{namespace}/resources/{resource}", {
    path: pods,
  })) {
    console.log(pod.metadata.name, pod.metadata.creationTimestamp);
  }

  try {
    await client.put("/clusters/{cluster}/namespaces/{namespace}/{resource}/{name}/scale", {
      path: { cluster: "local", namespace: "demo", resource: "deployments", name: "web" },
      body: { replicas: 3 },
    });
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== Code.Forbidden) {
      throw error;
    }
    console.log(`${error.message} (${error.requestId})`);
  }
}
