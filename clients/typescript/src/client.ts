// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

import { Code } from "./codes.js";
import { ApiError } from "./errors.js";
import { Session, type SessionOptions } from "./session.js";
import { target, Transport, type Values } from "./transport.js";
import type { Answer, Arguments, CallOptions, Data, Item, ListPath, Method, Model, Options, PathOf } from "./types.js";
import { watch, type WatchEvent, type WatchOptions } from "./watch.js";

/** SecondFactor is the response to the challenge of a login. */
export type SecondFactor = { code: string } | { recoveryCode: string };

export interface ClientOptions extends SessionOptions {
  /**
   * baseUrl is the base of the API: https://kubevision.example/api/v1, or behind kube-apiserver
   * https://kubernetes.example/apis/dashboard.kubevision.io/v1alpha1.
   */
  baseUrl: string;
  /** headers are sent with every request, such as a credential of kube-apiserver. */
  headers?: Readonly<Record<string, string>>;
  /** fetch sends the requests; by default the global one. */
  fetch?: typeof globalThis.fetch;
  /**
   * secondFactor returns a code or a recovery code of the user at the login; undefined cancels the login. It is
   * called again with the error after a wrong code. Without it, login rejects with the challenge.
   */
  secondFactor?: (wrong?: ApiError) => Promise<SecondFactor | undefined>;
}

/** Credentials contains the name and the password of a user. */
export type Credentials = Pick<Model<"LoginRequest">, "username" | "password">;

/** Client calls the API as one user. */
export class Client {
  readonly #session: Session;
  readonly #secondFactor: ClientOptions["secondFactor"];
  readonly #baseUrl: string;

  constructor(options: ClientOptions) {
    const direct = !new URL(options.baseUrl, "http://localhost").pathname.startsWith("/apis/");
    this.#session = new Session(new Transport(options.baseUrl, options.headers, options.fetch), options, direct);
    this.#secondFactor = options.secondFactor;
    this.#baseUrl = options.baseUrl;
  }

  /** loggedIn returns true if there is an access token, which may have expired. */
  get loggedIn(): boolean {
    return this.#session.tokens.accessToken !== undefined;
  }

  get<P extends PathOf<"get">>(path: P, ...args: Arguments<"get", P>): Promise<Answer<Data<"get", P>>> {
    return this.#call("get", path, args[0]);
  }

  post<P extends PathOf<"post">>(path: P, ...args: Arguments<"post", P>): Promise<Answer<Data<"post", P>>> {
    return this.#call("post", path, args[0]);
  }

  put<P extends PathOf<"put">>(path: P, ...args: Arguments<"put", P>): Promise<Answer<Data<"put", P>>> {
    return this.#call("put", path, args[0]);
  }

  patch<P extends PathOf<"patch">>(path: P, ...args: Arguments<"patch", P>): Promise<Answer<Data<"patch", P>>> {
    return this.#call("patch", path, args[0]);
  }

  delete<P extends PathOf<"delete">>(path: P, ...args: Arguments<"delete", P>): Promise<Answer<Data<"delete", P>>> {
    return this.#call("delete", path, args[0]);
  }

  /** items yields the items of a list page by page. The limit of the query is that of a page. */
  async *items<P extends ListPath>(path: P, options: Options<"get", P>): AsyncGenerator<Item<P>, void, undefined> {
    let next: string | undefined;
    do {
      const parts: Parts = options;
      const query = {
        limit: 500,
        ...(parts.query as object | undefined),
        ...(next === undefined ? {} : { continue: next }),
      };
      const answer = await this.#call("get", path, { ...parts, query });
      yield* answer.data as Item<P>[];
      next = answer.meta.continue;
    } while (next);
  }

  /**
   * watch yields the changes of topics: cluster:resource, or cluster:resource:namespace. It reconnects after each end
   * of a connection, and resumes after the last event.
   */
  watch(topics: readonly string[], options: WatchOptions = {}): AsyncGenerator<WatchEvent, void, undefined> {
    const ticket = async () => {
      const { data } = await this.#call<{ ticket: string }>("post", "/ws/ticket", { body: { verb: "watch" } });
      return data.ticket;
    };
    return watch(this.#baseUrl, ticket, topics, options);
  }

  /**
   * login starts a session. It rejects with an ApiError: 40100 if the name or the password is wrong, 42900 with
   * meta.retryAfterSeconds after too many failures, and 40102 if the second factor is required and was not supplied,
   * or if it must be set up first (challenge.setupRequired): then the session is restricted to the set-up.
   */
  async login(credentials: Credentials, options: Pick<CallOptions, "signal"> = {}): Promise<Model<"Login">> {
    try {
      return await this.#session.begin("/auth/login", { ...credentials }, options.signal);
    } catch (error) {
      const challenge = error instanceof ApiError ? error.challenge : undefined;
      if (!challenge?.requires2fa || challenge.sessionToken === undefined || !this.#secondFactor) {
        throw error;
      }
      return this.#answer(challenge.sessionToken, error, this.#secondFactor, options.signal);
    }
  }

  /** verify completes a login with the session token of its 40102 and a code. */
  verify(
    sessionToken: string,
    factor: SecondFactor,
    options: Pick<CallOptions, "signal"> = {},
  ): Promise<Model<"Login">> {
    const path = "code" in factor ? "/auth/2fa/verify" : "/auth/2fa/recovery";
    return this.#session.begin(path, { sessionToken, ...factor }, options.signal);
  }

  /** logout ends the session. The tokens are dropped even if the server cannot be reached. */
  async logout(options: Pick<CallOptions, "signal"> = {}): Promise<void> {
    try {
      await this.#call("post", "/auth/logout", options);
    } catch (error) {
      if (!(error instanceof ApiError) || (error.code !== Code.Unauthenticated && error.code !== Code.TokenExpired)) {
        throw error;
      }
    } finally {
      this.#session.forget();
    }
  }

  async #answer(
    sessionToken: string,
    due: unknown,
    ask: NonNullable<ClientOptions["secondFactor"]>,
    signal: AbortSignal | undefined,
  ): Promise<Model<"Login">> {
    for (let wrong: ApiError | undefined; ;) {
      const factor = await ask(wrong);
      if (!factor) {
        throw wrong ?? due;
      }
      try {
        return await this.verify(sessionToken, factor, { signal });
      } catch (error) {
        if (!(error instanceof ApiError) || error.code !== Code.TwoFactorFailed) {
          throw error;
        }
        wrong = error;
      }
    }
  }

  async #call<T>(method: Method, path: string, options: Parts = {}): Promise<Answer<T>> {
    const envelope = await this.#session.send(
      {
        method: method.toUpperCase(),
        path: target(path, options.path as Values, options.query as Values),
        body: options.body,
        contentType: options.contentType,
        signal: options.signal,
      },
      options.code,
    );
    return { data: envelope.data as T, meta: envelope.meta };
  }
}

/** Parts contains the options of all paths. */
interface Parts extends CallOptions {
  path?: unknown;
  query?: unknown;
  body?: unknown;
  contentType?: string | undefined;
}
