import { NAME_END, PropertyName, VALUE_END } from '@rocketmq-connect/message-log/message';

/** Whether a message is wanted, by its encoded properties in a part of `bytes`. */
export type TagFilter = (bytes: Buffer, from: number, to: number) => boolean;

/** A tag expression (`a || b`) as a filter; null for one that takes every message. */
export function tagFilter(expression: string): TagFilter | null {
  const tags = new Set(tagsOf(expression));
  if (tags.has('*') || tags.size === 0) return null;
  return (bytes, from, to) => {
    const tag = tagIn(bytes, from, to);
    return tag !== undefined && tags.has(tag);
  };
}

/** The tags that an expression names. */
export function tagsOf(expression: string): readonly string[] {
  return expression.trim() === '' ? [] : expression.split('||').map((tag) => tag.trim());
}

function tagIn(bytes: Buffer, from: number, to: number): string | undefined {
  for (let at = from; at < to; ) {
    let end = at;
    while (end < to && bytes[end] !== VALUE_END_BYTE) end++;
    if (end - at >= TAGS.length && TAGS.every((byte, i) => bytes[at + i] === byte)) return bytes.toString('utf8', at + TAGS.length, end);
    at = end + 1;
  }
  return undefined;
}

const TAGS = [...Buffer.from(PropertyName.tags + NAME_END)];
const VALUE_END_BYTE = VALUE_END.charCodeAt(0);
