// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

import type { Code } from "./codes.js";
import { HttpError } from "./errors.js";
import type { Meta } from "./types.js";

/** Call is a request without the credential. */
export interface Call {
  method: string;
  /** path is relative to the base of the API, with its parameters filled in. */
  path: string;
  body?: unknown;
  contentType?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** Envelope is the response to every request. */
export interface Envelope {
  code: Code;
  message: string;
  data: unknown;
  meta: Meta;
}

/** Values contains parameters by their names. */
export type Values = Readonly<Record<string, unknown>> | undefined;

/**
 * target fills the parameters into a path. A value cannot change the path: its slashes are escaped, and dots are
 * rejected.
 */
export function target(path: string, parameters: Values, query: Values): string {
  const filled = path.replace(/\{([^}]+)\}/g, (_, name: string) => {
    const value = parameters?.[name];
    if (typeof value !== "string" || value === "" || value === "." || value === "..") {
      throw new TypeError(`the path ${path} cannot have ${JSON.stringify(value)} as ${name}`);
    }
    return encodeURIComponent(value);
  });
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined) {
      search.set(name, String(value));
    }
  }
  return search.size === 0 ? filled : `${filled}?${search.toString()}`;
}

/** Transport sends requests to one address. */
export class Transport {
  readonly #base: string;
  readonly #fetch: typeof globalThis.fetch;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(base: string, headers: Readonly<Record<string, string>> = {}, fetch?: typeof globalThis.fetch) {
    this.#base = base.replace(/\/+$/, "");
    this.#headers = headers;
    this.#fetch = fetch ?? ((input, init) => globalThis.fetch(input, init));
  }

  async send(call: Call, headers: Readonly<Record<string, string | undefined>>): Promise<Envelope> {
    const sent = new Headers(this.#headers);
    sent.set("Accept", "application/json");
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined) {
        sent.set(name, value);
      }
    }
    const init: RequestInit = { method: call.method, headers: sent };
    if (call.signal) {
      init.signal = call.signal;
    }
    if (call.body !== undefined) {
      sent.set("Content-Type", call.contentType ?? "application/json");
      init.body = JSON.stringify(call.body);
    }
    const response = await this.#fetch(this.#base + call.path, init);
    const envelope: unknown = await response.json().catch((error: unknown) => {
      call.signal?.throwIfAborted();
      if (error instanceof SyntaxError) {
        return undefined;
      }
      throw error;
    });
    if (!isEnvelope(envelope)) {
      throw new HttpError(response.status, response.url);
    }
    return envelope;
  }
}

function isEnvelope(value: unknown): value is Envelope {
  if (typeof value !== "object" || value === null) {
    return false;
  }
  const { code, message, meta } = value as Partial<Record<keyof Envelope, unknown>>;
  return typeof code === "number" && typeof message === "string" && typeof meta === "object" && meta !== null;
}
