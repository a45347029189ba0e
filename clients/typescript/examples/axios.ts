// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

import axios, { type AxiosInstance } from "axios";

declare module "axios" {
  interface InternalAxiosRequestConfig {
    refreshed?: boolean;
  }
}

export interface Tokens {
  accessToken: string;
  refreshToken: string;
}

export interface Handlers {
  refreshed(tokens: Tokens): void;
  freshCode(message: string): Promise<string | undefined>;
  loggedOut(): void;
}

const longestPause = 30;

export function connect(
  baseURL: string,
  tokens: Tokens,
  on: Handlers,
  headers: Record<string, string> = {},
): AxiosInstance {
  const http = axios.create({ baseURL, headers });
  let refreshing: Promise<void> | undefined;

  async function refresh(): Promise<void> {
    const { data: answer } = await axios.post(
      `${baseURL}/auth/refresh`,
      { refreshToken: tokens.refreshToken },
      { headers },
    );
    if (answer.code === 0) {
      tokens = answer.data;
      on.refreshed(tokens);
    } else {
      if (answer.code === 40100 || answer.code === 40101) {
        on.loggedOut();
      }
      throw Object.assign(new Error(answer.message), { code: answer.code, requestId: answer.meta.requestId });
    }
  }

  http.interceptors.request.use(async (request) => {
    await refreshing;
    request.headers.set("X-KubeVision-Token", tokens.accessToken);
    return request;
  });

  http.interceptors.response.use(async (response) => {
    const { code, message, data, meta } = response.data;
    const request = response.config;
    switch (code) {
      case 0:
        return response;
      case 40101: // the access token has expired: one refresh, for which all requests wait, and each once more
        if (!request.refreshed) {
          request.refreshed = true;
          if (request.headers.get("X-KubeVision-Token") === tokens.accessToken) {
            refreshing ??= refresh().finally(() => (refreshing = undefined));
            await refreshing;
          }
          return http.request(request);
        }
        on.loggedOut();
        break;
      case 40100: // no session; or, of one call, a wrong old password
        if (request.url !== "/users/me/password") {
          on.loggedOut();
        }
        break;
      case 40102: // a fresh code for this request, in a header; the login's own challenge goes to the caller
        if (data?.reverify && meta.field !== "password") {
          const fresh = await on.freshCode(message);
          if (fresh) {
            request.headers.set("X-KubeVision-TOTP", fresh);
            return http.request(request);
          }
        }
        break;
      case 42900: // too many requests: the server says how long to wait
        if (meta.retryAfterSeconds <= longestPause) {
          await new Promise((resolve) => setTimeout(resolve, meta.retryAfterSeconds * 1000));
          return http.request(request);
        }
        break;
    }
    throw Object.assign(new Error(message), { code, data, requestId: meta.requestId });
  });

  return http;
}
