import { createHash } from 'node:crypto';

/** What leaves room for a namespace within the 255 characters of brokers, and of a topic of retries within the 127 of older ones. */
const LONGEST = 100;

/** A name as brokers take it for a consumer group: they know fewer characters than names of connectors have. Different ones stay different. */
export function groupName(group: string): string {
  const encoded = group.replace(/[^A-Za-z0-9_|-]/gu, (character) => [...Buffer.from(character)].map(hex).join(''));
  if (encoded.length <= LONGEST) return encoded;
  const digest = createHash('sha256').update(group).digest('hex').slice(0, 20);
  return `${encoded.slice(0, LONGEST - digest.length - 1)}-${digest}`;
}

function hex(byte: number): string {
  return `%${byte.toString(16).padStart(2, '0')}`;
}
