// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Client, type WatchEvent, type WatchSocket } from "../src/index.js";
import { stub } from "./stub.js";

const sockets: FakeSocket[] = [];

/** FakeSocket is a WebSocket whose server is the test. */
class FakeSocket implements WatchSocket {
  onopen: ((event: never) => unknown) | null = null;
  onmessage: ((event: never) => unknown) | null = null;
  onclose: ((event: never) => unknown) | null = null;
  readonly sent: Record<string, unknown>[] = [];

  constructor(readonly url: string) {
    sockets.push(this);
    queueMicrotask(() => this.onopen?.(undefined as never));
  }

  send(data: string): void {
    this.sent.push(JSON.parse(data));
  }

  close(): void {
    this.onclose?.(undefined as never);
  }

  receive(...events: object[]): void {
    this.onmessage?.({ data: events.map((event) => JSON.stringify(event)).join("\n") } as never);
  }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe("a watch", () => {
  it("goes on where it was, and begins again if that has expired", async () => {
    sockets.length = 0;
    let tickets = 0;
    const server = stub(() => ({ data: { ticket: `t${++tickets}`, expiresIn: 30 } }));
    const abort = new AbortController();
    const topic = "local:pods";
    const options = { initial: true, signal: abort.signal, WebSocket: FakeSocket, maxPauseSeconds: 0.01 };
    const seen: WatchEvent[] = [];
    const run = (async () => {
      for await (const event of new Client({ ...server }).watch([topic], options)) {
        seen.push(event);
      }
    })();
    await until(() => sockets[0]?.sent.length === 1);
    assert.match(sockets[0]!.url, /^ws.*\/ws\/watch\?ticket=t1$/);
    assert.equal(sockets[0]!.sent[0]!.initial, true);
    const pod = { clusterId: "local", resource: "pods", namespace: "n", name: "a" };
    sockets[0]!.receive({ type: "ADDED", ...pod, object: {} }, { type: "BOOKMARK", topic, bookmark: "b1" });
    await until(() => seen.length === 1);
    sockets[0]!.close();
    await until(() => sockets[1]?.sent.length === 1);
    assert.match(sockets[1]!.url, /ticket=t2$/);
    assert.deepEqual(sockets[1]!.sent[0]!.bookmarks, { [topic]: "b1" });
    assert.equal(sockets[1]!.sent[0]!.initial, false);
    sockets[1]!.receive({ type: "ERROR", topic, reason: "expired", code: 40901, message: "" });
    await until(() => sockets[1]!.sent.length === 2);
    assert.equal(sockets[1]!.sent[1]!.initial, true);
    assert.deepEqual(seen.map((event) => event.type), ["ADDED", "RELISTED"]);
    sockets[1]!.receive({ type: "ERROR", topic, reason: "forbidden", code: 40300, message: "" });
    sockets[1]!.close();
    await run;
    assert.equal(seen.at(-1)!.type, "ERROR");
  });
});
