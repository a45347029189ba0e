// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

/**
 * abortable settles with the promise, or rejects as soon as the signal is aborted. The operation of the promise
 * continues.
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

/** Gate delays requests for a time. */
export class Gate {
  #until = 0;

  /** hold delays the next requests for a number of seconds. */
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

/** Turns serializes calls. */
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
