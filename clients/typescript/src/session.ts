// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

import { Code } from "./codes.js";
import { ApiError } from "./errors.js";
import { memoryStore, type Tokens, type TokenStore } from "./tokens.js";
import type { Call, Envelope, Transport } from "./transport.js";
import type { Model } from "./types.js";
import { abortable, Gate, Turns } from "./wait.js";

export interface SessionOptions {
  /** store stores the tokens; the default is the memory. */
  store?: TokenStore;
  /**
   * freshCode returns a code of the user's second factor for the request that was rejected with the error; undefined
   * cancels the request. It is called again after a wrong code, and for one request at a time.
   */
  freshCode?: (refused: ApiError) => Promise<string | undefined>;
  /**
   * reverify uses each code for all requests of the session in the next five minutes, instead of one request. A
   * thief of the access token can use that time, too.
   */
  reverify?: boolean;
  /** ended is called once when the session has ended, with the error that reported it. */
  ended?: (error: ApiError) => void;
  /**
   * maxPauseSeconds is the maximum time for which a request waits after too many requests. The default is 30, and 0
   * disables waiting.
   */
  maxPauseSeconds?: number;
}

const defaultMaxPauseSeconds = 30;

/** ownPassword is the path for which 40100 means that the old password is wrong, and not that the session has ended. */
const ownPassword = "/users/me/password";

const refreshPath = "/auth/refresh";
const reverifyPath = "/auth/2fa/reverify";

/** Session sends requests with an access token, and reacts to the codes. */
export class Session {
  readonly #transport: Transport;
  readonly #options: SessionOptions;
  readonly #store: TokenStore;
  /** #direct is true if the Authorization header does not belong to kube-apiserver. */
  readonly #direct: boolean;
  readonly #gate = new Gate();
  readonly #prompts = new Turns();
  /** #codes counts the codes that were verified for the whole session. */
  #codes = 0;
  #refreshing: Promise<void> | undefined;

  constructor(transport: Transport, options: SessionOptions, direct: boolean) {
    this.#transport = transport;
    this.#options = options;
    this.#store = options.store ?? memoryStore();
    this.#direct = direct;
  }

  get tokens(): Tokens {
    return this.#store.load();
  }

  /** forget drops the tokens of the session, and keeps the device token. */
  forget(): void {
    this.#store.save({ deviceToken: this.tokens.deviceToken });
  }

  /** begin calls an endpoint that returns a session, and stores the session unless it is obsolete by then. */
  async begin(path: string, body: object, signal?: AbortSignal, wanted = () => true): Promise<Model<"Login">> {
    const envelope = await this.#transport.send(
      { method: "POST", path, body, signal },
      { "X-KubeVision-Device": this.tokens.deviceToken },
    );
    const error = failure(envelope);
    const given = (error ? error.challenge : envelope.data) as Partial<Model<"Login">> | undefined;
    if (given?.accessToken && wanted()) {
      this.#store.save({
        accessToken: given.accessToken,
        refreshToken: given.refreshToken,
        deviceToken: given.deviceToken ?? this.tokens.deviceToken,
      });
    }
    if (error) {
      throw error;
    }
    return envelope.data as Model<"Login">;
  }

  /** send sends a request, and repeats it until the result concerns the caller. */
  async send(call: Call, given?: string): Promise<Envelope> {
    const attempt: Attempt = { call, code: given, asked: false, codes: 0, refreshed: false, paused: 0 };
    for (;;) {
      if (this.#refreshing) {
        await abortable(this.#refreshing, call.signal);
      }
      await this.#gate.pass(call.signal);
      const { accessToken } = this.tokens;
      attempt.codes = this.#codes;
      const envelope = await this.#transport.send(call, {
        ...this.#credential(accessToken),
        "X-KubeVision-TOTP": attempt.code,
      });
      const error = failure(envelope);
      if (!error) {
        return envelope;
      }
      if (!(await this.#mend(attempt, error, accessToken))) {
        throw error;
      }
    }
  }

  /** mend reacts to an error, and returns true if the request must be sent again. */
  async #mend(attempt: Attempt, error: ApiError, accessToken: string | undefined): Promise<boolean> {
    const { call } = attempt;
    switch (error.code) {
      case Code.TokenExpired:
        if (accessToken === undefined || attempt.refreshed) {
          this.#end(error, accessToken);
          return false;
        }
        attempt.refreshed = true;
        await this.#refresh(accessToken, call.signal);
        return true;
      case Code.Unauthenticated:
        if (call.path !== ownPassword) {
          this.#end(error, accessToken);
        }
        return false;
      case Code.TwoFactorRequired:
        return error.challenge?.reverify === true && error.meta.field !== "password" && this.#ask(attempt, error);
      case Code.TwoFactorFailed:
        return attempt.asked && this.#ask(attempt, error);
      case Code.TooManyRequests:
        return this.#pause(attempt, error);
      default:
        return false;
    }
  }

  /** ask requests a code from the user for the rejected request, one at a time. */
  async #ask(attempt: Attempt, refused: ApiError): Promise<boolean> {
    const { freshCode, reverify } = this.#options;
    if (!freshCode || attempt.call.path === reverifyPath) {
      return false;
    }
    const give = reverify
      ? () => this.#giveToSession(attempt, refused, freshCode)
      : async () => {
          attempt.code = await freshCode(refused);
          attempt.asked = attempt.code !== undefined;
          return attempt.asked;
        };
    return this.#prompts.take(give, attempt.call.signal);
  }

  /**
   * giveToSession verifies a code for all requests of the session, unless one was verified since the request was
   * sent.
   */
  async #giveToSession(
    attempt: Attempt,
    refused: ApiError,
    freshCode: NonNullable<SessionOptions["freshCode"]>,
  ): Promise<boolean> {
    for (let error = refused; attempt.codes === this.#codes;) {
      const code = await freshCode(error);
      if (code === undefined) {
        return false;
      }
      try {
        await this.send({ method: "POST", path: reverifyPath, body: { code }, signal: attempt.call.signal });
        this.#codes++;
      } catch (wrong) {
        if (!(wrong instanceof ApiError) || wrong.code !== Code.TwoFactorFailed) {
          throw wrong;
        }
        error = wrong;
      }
    }
    return true;
  }

  /** pause delays all requests for the time that the server requires, unless this one has waited too long. */
  async #pause(attempt: Attempt, error: ApiError): Promise<boolean> {
    const seconds = Math.max(error.meta.retryAfterSeconds ?? 1, 1);
    attempt.paused += seconds;
    if (attempt.paused > (this.#options.maxPauseSeconds ?? defaultMaxPauseSeconds)) {
      return false;
    }
    this.#gate.hold(seconds);
    return true;
  }

  /**
   * refresh refreshes the session unless this was done since the token was used. Concurrent calls wait for the same
   * refresh.
   */
  async #refresh(expired: string, signal: AbortSignal | undefined): Promise<void> {
    if (this.tokens.accessToken !== expired) {
      return;
    }
    if (!this.#refreshing) {
      this.#refreshing = this.#renew(expired).finally(() => {
        this.#refreshing = undefined;
      });
      this.#refreshing.catch(() => undefined); // also where all who wait for it have given up
    }
    await abortable(this.#refreshing, signal);
  }

  async #renew(expired: string): Promise<void> {
    const refreshToken = this.tokens.refreshToken;
    const attempt: Attempt = {
      call: { method: "POST", path: refreshPath },
      code: undefined,
      asked: false,
      codes: 0,
      refreshed: true,
      paused: 0,
    };
    for (;;) {
      await this.#gate.pass(undefined);
      try {
        // A session that was started meanwhile takes precedence, and so does the end of this one.
        await this.begin(refreshPath, { refreshToken }, undefined, () => this.tokens.refreshToken === refreshToken);
        return;
      } catch (error) {
        if (!(error instanceof ApiError)) {
          throw error; // the session may well be there still
        }
        switch (error.code) {
          case Code.TwoFactorRequired:
            return; // what the session is good for now, the request will be told
          case Code.TooManyRequests:
            if (await this.#pause(attempt, error)) {
              continue;
            }
            throw error;
          case Code.TokenExpired:
          case Code.Unauthenticated:
          case Code.Required:
            this.#end(error, expired);
            throw error;
          default:
            throw error;
        }
      }
    }
  }

  /** end forgets an ended session, unless another one has started. */
  #end(error: ApiError, accessToken: string | undefined): void {
    if (accessToken === undefined || this.tokens.accessToken !== accessToken) {
      return;
    }
    this.forget();
    this.#options.ended?.(error);
  }

  #credential(accessToken: string | undefined): Record<string, string | undefined> {
    if (accessToken === undefined) {
      return {};
    }
    return this.#direct ? { Authorization: `Bearer ${accessToken}` } : { "X-KubeVision-Token": accessToken };
  }
}

/** Attempt is the state of one request. */
interface Attempt {
  readonly call: Call;
  code: string | undefined;
  /** asked is true if the code was requested from the user. */
  asked: boolean;
  /** codes is the number of codes that had been verified for the whole session when the request was sent. */
  codes: number;
  refreshed: boolean;
  /** paused is the number of seconds for which the request has waited. */
  paused: number;
}

function failure(envelope: Envelope): ApiError | undefined {
  return envelope.code === Code.OK
    ? undefined
    : new ApiError(envelope.code, envelope.message, envelope.data, envelope.meta);
}
