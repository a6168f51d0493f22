import type { FetchedMessages } from './index.ts';

/** All but the first `count` messages; zero copy. */
export function skipMessages(whole: FetchedMessages, count: number): FetchedMessages {
  const { bytes } = whole;
  let at = 0;
  for (let skipped = 0; skipped < count; skipped++) at += bytes.readInt32BE(at);
  return { ...whole, offset: whole.offset + count, count: whole.count - count, bytes: bytes.subarray(at) };
}

/** The first messages that fit into `maxBytes`; if none does, the first one (`atLeastOne`) or undefined. */
export function takeMessages(whole: FetchedMessages, maxBytes: number, atLeastOne: boolean): FetchedMessages | undefined {
  const { bytes } = whole;
  if (bytes.length <= maxBytes) return whole;
  let at = 0;
  let count = 0;
  while (count < whole.count) {
    const size = bytes.readInt32BE(at);
    if (at + size > maxBytes && !(count === 0 && atLeastOne)) break;
    at += size;
    count++;
    if (at > maxBytes) break;
  }
  return count === 0 ? undefined : { ...whole, count, bytes: bytes.subarray(0, at) };
}
