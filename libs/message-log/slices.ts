import type { FetchedMessages } from './index.ts';

/** All but the first `count` messages; zero copy. */
export function skipMessages(whole: FetchedMessages, count: number): FetchedMessages {
  return { ...whole, offset: whole.offset + count, count: whole.count - count, bytes: whole.bytes.subarray(bytesOf(whole, count)) };
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

/** The same messages, at most `count` at a time. */
export function* inParts(all: readonly FetchedMessages[], count: number): Generator<FetchedMessages> {
  for (let rest of all) {
    for (; rest.count > count; rest = skipMessages(rest, count)) {
      yield { ...rest, count, bytes: rest.bytes.subarray(0, bytesOf(rest, count)) };
    }
    yield rest;
  }
}

/** How many bytes the first `count` messages take. */
function bytesOf({ bytes }: FetchedMessages, count: number): number {
  let at = 0;
  for (let i = 0; i < count; i++) at += bytes.readInt32BE(at);
  return at;
}
