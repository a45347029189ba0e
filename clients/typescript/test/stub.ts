// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

import { Code } from "../src/index.js";

/** Received is a request as a server sees it. */
export interface Received {
  method: string;
  path: string;
  token: string | null;
  code: string | null;
  body: unknown;
}

/** Reply is a response without the parts that all responses share. */
export type Reply = { code?: number; data?: unknown; meta?: object };

/** stub replaces the network, for responses that no real server can be made to return. */
export function stub(reply: (request: Received) => Reply | Promise<Reply>) {
  const received: Received[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    init?.signal?.throwIfAborted();
    const headers = new Headers(init?.headers);
    const request: Received = {
      method: init?.method ?? "GET",
      path: String(input).replace("http://stub/api/v1", ""),
      token: headers.get("Authorization"),
      code: headers.get("X-KubeVision-TOTP"),
      body: typeof init?.body === "string" ? JSON.parse(init.body) : undefined,
    };
    received.push(request);
    const { code = Code.OK, data = null, meta } = await reply(request);
    return Response.json({ code, message: `code ${code}`, data, meta: { requestId: "req_1", ...meta } });
  };
  return { fetch, received, baseUrl: "http://stub/api/v1" };
}

/** times creates a number of concurrent promises. */
export function times<T>(n: number, make: (i: number) => Promise<T>): Promise<T>[] {
  return Array.from({ length: n }, (_, i) => make(i));
}
