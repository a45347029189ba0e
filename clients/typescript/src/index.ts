// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

export { Client, type ClientOptions, type Credentials, type SecondFactor } from "./client.js";
export { Code } from "./codes.js";
export { ApiError, HttpError } from "./errors.js";
export type { SessionOptions } from "./session.js";
export { memoryStore, type Tokens, type TokenStore, webStore } from "./tokens.js";
export type {
  Answer,
  Arguments,
  CallOptions,
  Data,
  Item,
  KubernetesObject,
  ListPath,
  Meta,
  Method,
  Model,
  Options,
  PathOf,
} from "./types.js";
export type { WatchEvent, WatchOptions, WatchSocket } from "./watch.js";
