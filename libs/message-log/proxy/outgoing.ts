import { createHash } from 'node:crypto';
import type { MessageBatch } from '../index.ts';
import { decodeMessages, NAME_END, PropertyName, VALUE_END } from '../message.ts';
import { resource, timestampOf, wire } from './wire.ts';

/** A message on its way to a proxy. */
export interface OutgoingMessage {
  readonly message: InstanceType<typeof wire.Message>;
  /** What a broker counts for it, about. */
  readonly bytes: number;
  /** Messages of one group are stored in their order, in one queue; '' for none. */
  readonly group: string;
}

export interface OutgoingSettings {
  readonly topic: string;
  /** Where the caller meant it to go. */
  readonly queue: number;
  readonly nowMs: number;
  /** Messages with a group: the topic takes `none`, `some`, or `all`, where each needs one: its own, else its key, else the queue. */
  readonly groups: 'none' | 'some' | 'all';
  readonly nextId: () => string;
}

/** The messages of a batch as a proxy takes them: what RocketMQ has a name for in fields of its own, all else as user properties. */
export function outgoingMessages({ bytes, delayMs }: MessageBatch, settings: OutgoingSettings): OutgoingMessage[] {
  const outgoing: OutgoingMessage[] = [];
  decodeMessages(bytes, (body, properties) => outgoing.push(outgoingMessage(body, properties, delayMs, settings)));
  return outgoing;
}

function outgoingMessage(
  body: Buffer,
  properties: string,
  delayMs: number | undefined,
  { topic, queue, nowMs, groups, nextId }: OutgoingSettings,
): OutgoingMessage {
  const system = new wire.SystemProperties()
    .setMessageId(nextId())
    .setQueueId(queue)
    .setBornTimestamp(timestampOf(nowMs))
    .setBodyEncoding(wire.Encoding.IDENTITY);
  const message = new wire.Message().setTopic(resource(topic)).setSystemProperties(system);
  const user = message.getUserPropertiesMap();
  let key = '';
  let group = '';
  let escaped = 0;
  for (const [name, value] of pairsOf(properties)) {
    if (name === PropertyName.tags) system.setTag(value);
    else if (name === PropertyName.keys) key ||= takeKeys(value, system, user);
    else if (name === PropertyName.group && groups !== 'none') group = groupOf(value);
    else if (!CONTROL.test(value) && name !== PropertyName.group) user.set(name, value);
    else user.set(escapedName(escaped++, name), Buffer.from(value).toString('base64'));
    if (name === PropertyName.binaryKey) key = value;
  }
  if (body.length > 0) message.setBody(body);
  else {
    message.setBody(PLACEHOLDER);
    user.set(PropertyName.emptyBody, '1');
  }
  if (groups === 'all' && group === '') group = key === '' ? `queue-${queue}` : groupOf(key);
  if (group !== '') system.setMessageGroup(group);
  if (delayMs !== undefined) system.setDeliveryTimestamp(timestampOf(nowMs + delayMs));
  const { DELAY, FIFO, NORMAL } = wire.MessageType;
  system.setMessageType(delayMs !== undefined ? DELAY : group === '' ? NORMAL : FIFO);
  return { message, bytes: body.length + properties.length + BROKER_BYTES, group };
}

/** Returns the key. Proxies take no key that is blank or has control characters, and give back none that ends with a space. */
function takeKeys(
  keys: string,
  system: { addKeys(key: string): unknown },
  user: { has(name: string): boolean; set(name: string, value: string): unknown },
): string {
  if (keys.trim() !== '' && !keys.endsWith(' ') && !CONTROL.test(keys)) system.addKeys(keys);
  else if (!user.has(PropertyName.binaryKey)) user.set(PropertyName.binaryKey, Buffer.from(keys).toString('base64'));
  return keys;
}

/** A key as a message group, which has 63 bytes at most. */
function groupOf(key: string): string {
  if (Buffer.byteLength(key) < 64 && key.trim() !== '' && !CONTROL.test(key)) return key;
  return createHash('sha256').update(key).digest('hex').slice(0, 32);
}

/** The property of our own that carries a value proxies refuse; every reader of ours knows it. */
function escapedName(index: number, name: string): string {
  return `${PropertyName.binaryHeader}${ESCAPED_FROM + index}:${name}`;
}

/** What `escapedName` was made of, or null. */
export function escapedProperty(name: string): string | null {
  if (!name.startsWith(PropertyName.binaryHeader)) return null;
  const colon = name.indexOf(':');
  const index = Number(name.slice(PropertyName.binaryHeader.length, colon));
  return index >= ESCAPED_FROM ? name.slice(colon + 1) : null;
}

function* pairsOf(properties: string): Generator<readonly [string, string]> {
  for (let at = 0; at < properties.length; ) {
    const nameEnd = properties.indexOf(NAME_END, at);
    if (nameEnd === -1) return;
    const valueEnd = properties.indexOf(VALUE_END, nameEnd + 1);
    const end = valueEnd === -1 ? properties.length : valueEnd;
    yield [properties.slice(at, nameEnd), properties.slice(nameEnd + 1, end)];
    at = end + 1;
  }
}

/** Java's ISO control characters, which proxies refuse in properties and keys. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;
/** Headers that the pipeline escapes are counted from 0. */
const ESCAPED_FROM = 1_000_000;
/** Proxies refuse empty bodies. */
const PLACEHOLDER = Buffer.from('-');
/** What proxy and broker add: ids, hosts, times, and the layout. */
const BROKER_BYTES = 350;
