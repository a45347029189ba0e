// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

/**
 * abortable settles with the promise, or rejects as soon as the signal is aborted. What the promise stands for goes on.
 */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) {
    return promise;
  }
  signal.throwIfAborted();
  let abort: () => void = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Gate holds requests up for a while. */
export class Gate {
  #until = 0;

  /** hold holds the next requests up for a number of seconds. */
  hold(seconds: number): void {
    this.#until = Math.max(this.#until, Date.now() + seconds * 1000);
  }

  /** pass waits until the gate is open. */
  async pass(signal: AbortSignal | undefined): Promise<void> {
    for (let left = this.#until - Date.now(); left > 0; left = this.#until - Date.now()) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      try {
        await abortable(new Promise<void>((resolve) => (timer = setTimeout(resolve, left))), signal);
      } finally {
        clearTimeout(timer);
      }
    }
  }
}

/** Turns lets one caller at a time do something. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const turn = this.#last.then(() => {
      signal?.throwIfAborted();
      return work();
    });
    this.#last = turn.catch(() => undefined);
    return abortable(turn, signal);
  }
}
