// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

import type { KubernetesObject } from "./types.js";
import { abortable } from "./wait.js";

/** WatchEvent is a change of an object, or an error that ends the events of a topic. */
export type WatchEvent =
  | {
      type: "ADDED" | "MODIFIED" | "DELETED";
      clusterId: string;
      resource: string;
      namespace: string;
      name: string;
      /** object is absent after a deletion, and contains only the metadata if a summary was requested. */
      object?: KubernetesObject;
    }
  | { type: "RELISTED"; topic: string }
  | { type: "ERROR"; topic: string; reason: string; code: number; message: string };

type Notice = { type: "BOOKMARK"; topic: string; bookmark: string; initial?: boolean };

export interface WatchOptions {
  /** summary requests metadata instead of objects. */
  summary?: boolean;
  /** initial requests events ADDED for the existing objects, before the changes. */
  initial?: boolean;
  /** signal ends the watch. */
  signal?: AbortSignal;
  /** WebSocket creates the connections; by default the global one. */
  WebSocket?: new (url: string) => WatchSocket;
  /** maxPauseSeconds bounds the pause between two attempts to connect. The default is 30. */
  maxPauseSeconds?: number;
}

/** WatchSocket is the part of a WebSocket that a watch uses. */
export interface WatchSocket {
  onopen: ((event: never) => unknown) | null;
  onmessage: ((event: never) => unknown) | null;
  onclose: ((event: never) => unknown) | null;
  send(data: string): void;
  close(): void;
}

/**
 * watch yields the changes of topics (cluster:resource or cluster:resource:namespace). It reconnects after each end of
 * a connection, and resumes after the last event. If the server no longer knows all changes since then, it sends an
 * event RELISTED and then all objects again: an object that is not among them was deleted. ticket returns a new ticket.
 */
export async function* watch(
  baseUrl: string,
  ticket: () => Promise<string>,
  topics: readonly string[],
  options: WatchOptions,
): AsyncGenerator<WatchEvent, void, undefined> {
  const bookmarks = new Map<string, string>();
  const ended = new Set<string>();
  const relist = new Set<string>(options.initial ? topics : []);
  for (let pause = 1; ended.size < topics.length; pause = Math.min(2 * pause, options.maxPauseSeconds ?? 30)) {
    options.signal?.throwIfAborted();
    const connection = new Connection(socketUrl(baseUrl, await ticket()), options);
    try {
      connection.subscribe(topics.filter((topic) => !ended.has(topic)), bookmarks, relist);
      for await (const event of connection.events()) {
        pause = 1;
        if (event.type === "BOOKMARK") {
          bookmarks.set(event.topic, event.bookmark);
          relist.delete(event.topic);
          continue;
        }
        if (event.type === "ERROR" && event.reason === "expired") {
          bookmarks.delete(event.topic);
          relist.add(event.topic);
          yield { type: "RELISTED", topic: event.topic };
          connection.subscribe([event.topic], bookmarks, relist);
          continue;
        }
        if (event.type === "ERROR" && event.reason !== "cluster-gone") {
          ended.add(event.topic);
        }
        yield event;
      }
    } finally {
      connection.close();
    }
    await abortable(new Promise((resolve) => setTimeout(resolve, pause * 1000)), options.signal);
  }
}

function socketUrl(baseUrl: string, ticket: string): string {
  const url = new URL(baseUrl, globalThis.location?.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.pathname = url.pathname.replace(/\/$/, "") + (url.pathname.startsWith("/apis/") ? "/proxy/ws/watch" : "/ws/watch");
  url.searchParams.set("ticket", ticket);
  return url.href;
}

/** Connection is one WebSocket. Its messages wait until they are read. */
class Connection {
  readonly #socket: WatchSocket;
  readonly #options: WatchOptions;
  readonly #opened: Promise<void>;
  #received: (WatchEvent | Notice)[] = [];
  #closed = false;
  #wake: () => void = () => {};

  constructor(url: string, options: WatchOptions) {
    this.#options = options;
    const make = options.WebSocket ?? (globalThis.WebSocket as unknown as new (url: string) => WatchSocket);
    this.#socket = new make(url);
    this.#opened = new Promise((resolve) => {
      this.#socket.onopen = () => resolve();
    });
    this.#socket.onmessage = (event: { data: string }) => {
      for (const line of event.data.split("\n")) {
        this.#received.push(JSON.parse(line));
      }
      this.#wake();
    };
    this.#socket.onclose = () => this.close();
    options.signal?.addEventListener("abort", () => this.close(), { once: true });
  }

  subscribe(topics: readonly string[], bookmarks: ReadonlyMap<string, string>, relist: ReadonlySet<string>): void {
    const send = (initial: boolean, some: readonly string[]) => {
      if (some.length > 0) {
        const known = Object.fromEntries(some.flatMap((topic) => (bookmarks.has(topic) ? [[topic, bookmarks.get(topic)]] : [])));
        const message = { action: "subscribe", topics: some, summary: this.#options.summary, initial, bookmarks: known };
        void this.#opened.then(() => this.#closed || this.#socket.send(JSON.stringify(message)));
      }
    };
    send(true, topics.filter((topic) => relist.has(topic)));
    send(false, topics.filter((topic) => !relist.has(topic)));
  }

  async *events(): AsyncGenerator<WatchEvent | Notice, void, undefined> {
    for (;;) {
      const next = this.#received;
      this.#received = [];
      yield* next;
      this.#options.signal?.throwIfAborted();
      if (this.#received.length > 0) {
        continue;
      }
      if (this.#closed) {
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    if (!this.#closed) {
      this.#closed = true;
      this.#socket.close();
      this.#wake();
    }
  }
}
