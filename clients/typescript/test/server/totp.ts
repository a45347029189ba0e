// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

import { createHmac } from "node:crypto";

const period = 30_000;
/** margin is the part of a time step in which no code is generated, because it could arrive too late. */
const margin = 3_000;
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** code returns the one-time code (RFC 6238) of a step relative to the current one. */
export function code(secret: string, steps: number): string {
  let bits = "";
  for (const letter of secret) {
    bits += alphabet.indexOf(letter).toString(2).padStart(5, "0");
  }
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / period) + steps));
  const digest = createHmac("sha1", key).update(counter).digest();
  const offset = (digest.at(-1) ?? 0) & 0xf;
  return ((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).toString().padStart(6, "0");
}

/** untilCodesLast waits for the next step if the current one is about to end. */
export async function untilCodesLast(): Promise<void> {
  const left = period - (Date.now() % period);
  if (left < margin) {
    await new Promise((resolve) => setTimeout(resolve, left));
  }
}
