// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

import { Code } from "./codes.js";
import type { Meta, Model } from "./types.js";

/** ApiError is a response with a code other than 0. */
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

  /** requestId identifies the request in the server's log. */
  get requestId(): string {
    return this.meta.requestId;
  }

  /**
   * challenge describes the step that is required before the request can succeed; undefined unless the code is
   * 40102.
   */
  get challenge(): Model<"TwoFactorChallenge"> | undefined {
    if (this.code !== Code.TwoFactorRequired || typeof this.data !== "object" || this.data === null) {
      return undefined;
    }
    return this.data as Model<"TwoFactorChallenge">;
  }

  /** passwordChangeRequired is true if the session is restricted to a change of the password. */
  get passwordChangeRequired(): boolean {
    return (
      typeof this.data === "object" &&
      this.data !== null &&
      (this.data as Partial<Model<"PasswordChangeRequired">>).passwordChangeRequired === true
    );
  }
}

/** HttpError is a response that does not come from KubeVision, such as that of a proxy in between. */
export class HttpError extends Error {
  override readonly name = "HttpError";

  constructor(
    readonly status: number,
    readonly url: string,
  ) {
    super(`HTTP ${status} without an envelope from ${url}`);
  }
}
