// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

/** Tokens are what a client keeps of a login. */
export interface Tokens {
  accessToken?: string | undefined;
  refreshToken?: string | undefined;
  /** deviceToken stays after the logout. It lets nobody in, and tells this client from strangers at the next login. */
  deviceToken?: string | undefined;
}

/** TokenStore keeps the tokens. Clients that share a store, such as those of several tabs, share a session. */
export interface TokenStore {
  load(): Tokens;
  save(tokens: Tokens): void;
}

/** memoryStore keeps tokens as long as the page or the program lasts. */
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
 * webStore keeps tokens in localStorage or sessionStorage, where every script of the page's origin can read them. All
 * tabs share what is in localStorage.
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
