// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

/** Tokens contains the tokens of a login that a client stores. */
export interface Tokens {
  accessToken?: string | undefined;
  refreshToken?: string | undefined;
  /**
   * deviceToken is kept after the logout. It does not grant access, and identifies this client as known at the next
   * login.
   */
  deviceToken?: string | undefined;
}

/** TokenStore stores the tokens. Clients with a common store, such as those of several tabs, share a session. */
export interface TokenStore {
  load(): Tokens;
  save(tokens: Tokens): void;
}

/** memoryStore stores tokens for the lifetime of the page or the program. */
export function memoryStore(tokens: Tokens = {}): TokenStore {
  let kept = tokens;
  return {
    load: () => kept,
    save: (saved) => {
      kept = saved;
    },
  };
}

/**
 * webStore stores tokens in localStorage or sessionStorage, where every script of the page's origin can read them.
 * All tabs share localStorage.
 */
export function webStore(storage: Pick<Storage, "getItem" | "setItem">, key = "kubevision"): TokenStore {
  return {
    load: () => {
      try {
        const kept: unknown = JSON.parse(storage.getItem(key) ?? "{}");
        return typeof kept === "object" && kept !== null ? (kept as Tokens) : {};
      } catch {
        return {};
      }
    },
    save: (tokens) => storage.setItem(key, JSON.stringify(tokens)),
  };
}
