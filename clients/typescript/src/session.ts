// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

import { Code } from "./codes.js";
import { ApiError } from "./errors.js";
import { memoryStore, type Tokens, type TokenStore } from "./tokens.js";
import type { Call, Envelope, Transport } from "./transport.js";
import type { Model } from "./types.js";
import { abortable, Gate, Turns } from "./wait.js";

export interface SessionOptions {
  /** store keeps the tokens; by default in memory. */
  store?: TokenStore;
  /**
   * freshCode asks the user for a code of their second factor, which the request needs that is refused with the error;
   * undefined gives up. It is called again where the code was wrong, and for one request at a time.
   */
  freshCode?: (refused: ApiError) => Promise<string | undefined>;
  /**
   * reverify gives each code for all requests of the session in the next five minutes, and not for one request alone.
   * Whoever steals the access token has the same time.
   */
  reverify?: boolean;
  /** ended is called when the session has ended, with the answer that said so, once for all requests. */
  ended?: (error: ApiError) => void;
  /**
   * maxPauseSeconds is for how long a request waits where there were too many; 30 where it is not given, and 0 is not
   * at all.
   */
  maxPauseSeconds?: number;
}

const defaultMaxPauseSeconds = 30;

/** ownPassword is the path where 40100 says that the old password is wrong, and nothing of the session. */
const ownPassword = "/users/me/password";

const refreshPath = "/auth/refresh";
const reverifyPath = "/auth/2fa/reverify";

/** Session sends requests with an access token, and does what the codes ask for. */
export class Session {
  readonly #transport: Transport;
  readonly #options: SessionOptions;
  readonly #store: TokenStore;
  /** #direct says that the Authorization header is ours, and not that of kube-apiserver. */
  readonly #direct: boolean;
  readonly #gate = new Gate();
  readonly #prompts = new Turns();
  /** #codes counts the codes that were given for the whole session. */
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

  /** forget drops the tokens of the session. That of the device stays. */
  forget(): void {
    this.#store.save({ deviceToken: this.tokens.deviceToken });
  }

  /** begin calls an endpoint that answers with a session, and keeps it unless the answer is of no use any more. */
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

  /** send sends a request until its answer is one that the caller must see. */
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

  /** mend does what an answer asks for, and says whether the request is to be sent again. */
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

  /** ask has the user give a code for the request that was refused. One question is asked at a time. */
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

  /** giveToSession gives a code for all requests of the session, unless that was done since the request was sent. */
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

  /** pause holds all requests up for as long as the server asks for, unless this one has waited for too long. */
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
   * refresh renews the session unless that has been done since the token was used. Whoever comes meanwhile waits for
   * the same refresh.
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
        // Another session that was begun meanwhile, and the end of this one, hold.
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

  /** end forgets a session that is over, unless another one has begun. */
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

/** Attempt is what was done for one request. */
interface Attempt {
  readonly call: Call;
  code: string | undefined;
  /** asked says that the code is the user's answer to a question. */
  asked: boolean;
  /** codes is how many codes had been given for the whole session when the request was sent. */
  codes: number;
  refreshed: boolean;
  /** paused is for how many seconds the request had to wait. */
  paused: number;
}

function failure(envelope: Envelope): ApiError | undefined {
  return envelope.code === Code.OK
    ? undefined
    : new ApiError(envelope.code, envelope.message, envelope.data, envelope.meta);
}
