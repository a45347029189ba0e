// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

import type { Model } from "./types.js";

/** Code names the results of a request. */
export const Code = {
  OK: 0,
  Required: 40001,
  Invalid: 40002,
  Unauthenticated: 40100,
  TokenExpired: 40101,
  TwoFactorRequired: 40102,
  TwoFactorFailed: 40103,
  Forbidden: 40300,
  ClusterForbidden: 40301,
  NamespaceForbidden: 40302,
  NotFound: 40400,
  UserNotFound: 40401,
  ClusterNotFound: 40402,
  Conflict: 40900,
  Stale: 40901,
  Unparseable: 42200,
  Rejected: 42201,
  TooManyRequests: 42900,
  Internal: 50000,
  Unreachable: 50200,
} as const satisfies Record<string, Model<"Code">>;

export type Code = Model<"Code">;
