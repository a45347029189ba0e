// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

import { Code } from "./codes.js";
import type { Meta, Model } from "./types.js";

/** ApiError is an answer with another code than 0. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly code: Code,
    message: string,
    readonly data: unknown,
    readonly meta: Meta,
  ) {
    super(message);
  }

  /** requestId names the request in the server's log. */
  get requestId(): string {
    return this.meta.requestId;
  }

  /** challenge says what is due before the request can succeed; undefined unless the code is 40102. */
  get challenge(): Model<"TwoFactorChallenge"> | undefined {
    if (this.code !== Code.TwoFactorRequired || typeof this.data !== "object" || this.data === null) {
      return undefined;
    }
    return this.data as Model<"TwoFactorChallenge">;
  }

  /** passwordChangeRequired says that the session is good for nothing but choosing another password. */
  get passwordChangeRequired(): boolean {
    return (
      typeof this.data === "object" &&
      this.data !== null &&
      (this.data as Partial<Model<"PasswordChangeRequired">>).passwordChangeRequired === true
    );
  }
}

/** HttpError is an answer that does not come from KubeVision, such as that of a proxy in between. */
export class HttpError extends Error {
  override readonly name = "HttpError";

  constructor(
    readonly status: number,
    readonly url: string,
  ) {
    super(`HTTP ${status} without an envelope from ${url}`);
  }
}
