import { NAME_END, PropertyName, VALUE_END } from '@rocketmq-connect/message-log/message';
import { type Converter, DataError, type Header } from '@rocketmq-connect/sdk';
import { TRACEPARENT, TRACEPARENT_BYTES } from '@rocketmq-connect/tracing/trace-context';
import { isText } from './property-writer.ts';

/** A record's headers, encoded, and what among them means something to RocketMQ. */
export interface EncodedHeaders {
  /** Properties for a batch. */
  readonly text: string;
  /** KEYS is among them: the record's own key travels beside it. */
  readonly hasKeys: boolean;
  readonly hasTags: boolean;
  /** The message group, which its queue is chosen by; null where the headers name none. */
  readonly group: string | null;
  /** Null where the headers say nothing of it. */
  readonly delayMs: number | null;
  /** The trace that the record came from; null for none. */
  readonly traceparent: string | null;
}

export const NO_HEADERS: EncodedHeaders = { text: '', hasKeys: false, hasTags: false, group: null, delayMs: null, traceparent: null };

/** Headers of these names are RocketMQ's own properties, written and read. */
const HeaderName = { tags: PropertyName.tags, keys: PropertyName.keys, group: PropertyName.group, delay: 'rocketmq.delay.ms' } as const;

/** Throws `DataError` for names that no property can have, and a delay that is none. */
export function encodeHeaders(headers: readonly Header[], converter: Converter): EncodedHeaders {
  let text = '';
  let hasKeys = false;
  let hasTags = false;
  let group: string | null = null;
  let delayMs: number | null = null;
  let traceparent: string | null = null;
  const names = new Set<string>();
  headers.forEach(({ name, value, schema }, index) => {
    if (typeof name !== 'string' || name === '' || hasSeparator(name)) {
      throw new DataError(`a header is named ${JSON.stringify(name)}, which no message property can be`, {
        code: 'HEADER_NAME_INVALID',
        remedy: 'Names are texts without the characters 1 and 2; rename or drop the header by a transform.',
      });
    }
    if (name === HeaderName.delay) {
      delayMs = delayOf(value);
      return;
    }
    const isKeys = name === HeaderName.keys;
    const bytes = isKeys && Array.isArray(value) ? Buffer.from(value.join(' ')) : converter.fromConnect(name, schema, value);
    const plain = bytes === null ? 'null' : isText(bytes) ? bytes.toString('utf8') : undefined;
    if (plain === undefined || names.has(name) || isReserved(name) || isNoTag(name, plain)) {
      // The index keeps headers of one name apart.
      text += `${PropertyName.binaryHeader}${index}:${name}${NAME_END}${(bytes ?? NULL_TEXT).toString('base64')}${VALUE_END}`;
    } else if (bytes !== null || !(isKeys || name === HeaderName.tags || name === HeaderName.group)) {
      text += `${name}${NAME_END}${plain}${VALUE_END}`;
      if (isKeys) hasKeys = true;
      else if (name === HeaderName.group) group = plain;
      else if (name === TRACEPARENT) traceparent = plain;
    }
    if (name === HeaderName.tags) hasTags = true;
    names.add(name);
  });
  return { text, hasKeys, hasTags, group, delayMs, traceparent };
}

/** RocketMQ's proxy gives such a one to every message without a tag. */
function isNoTag(name: string, value: string): boolean {
  return name === HeaderName.tags && value === '';
}

function delayOf(value: unknown): number {
  const delayMs = Buffer.isBuffer(value) || typeof value === 'string' ? Number(String(value).trim() || Number.NaN) : Number(value);
  if (value !== null && Number.isSafeInteger(delayMs) && delayMs >= 0) return delayMs;
  throw new DataError(`the header ${HeaderName.delay} of a record is ${JSON.stringify(String(value).slice(0, 50))}, which is no delay`, {
    code: 'DELAY_INVALID',
    field: HeaderName.delay,
    remedy: 'Give a whole number of milliseconds, 0 or more, or drop the header by a transform.',
  });
}

/** The most bytes of encoded properties that a message carries. */
export const MAX_PROPERTIES_BYTES = 32_767;

/** Whether a message can carry the encoded properties. */
export function propertiesFit(properties: string): boolean {
  return properties.length * 3 <= MAX_PROPERTIES_BYTES || Buffer.byteLength(properties) <= MAX_PROPERTIES_BYTES;
}

/**
 * Most messages of ours carry nothing but an id, and in a traced batch a `traceparent`: nothing is to be decoded then. Where the value of that
 * begins, 0 where there is none, -1 where there is more.
 */
export function traceparentBesideId(bytes: Buffer, from: number, to: number): number {
  let at = from;
  if (startsWith(bytes, ID_NAME, from, to)) {
    at += ID_NAME.length;
    while (at < to && bytes[at] !== VALUE_END_BYTE) at++;
    at++;
  }
  if (at >= to) return 0;
  const valueAt = at + TRACE_NAME.length;
  // Brokers leave out the last separator.
  const valueEnd = bytes[to - 1] === VALUE_END_BYTE ? to - 1 : to;
  return valueEnd - valueAt === TRACEPARENT_BYTES && startsWith(bytes, TRACE_NAME, at, to) ? valueAt : -1;
}

function startsWith(bytes: Buffer, name: Buffer, at: number, to: number): boolean {
  if (to - at < name.length) return false;
  for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name[i]) return false;
  return true;
}

/** Properties, decoded. */
export interface DecodedProperties {
  key: Buffer | null;
  timestamp: number | undefined;
  isNull: boolean;
  /** The body is not the value, which is empty. */
  isEmpty: boolean;
  headers: Header[];
}

/** Decodes the encoded properties in a part of `bytes`. Key and headers are slices of it where they are no base64. */
export function decodeProperties(bytes: Buffer, from: number, to: number, converter: Converter): DecodedProperties {
  const decoded: DecodedProperties = { key: null, timestamp: undefined, isNull: false, isEmpty: false, headers: [] };
  let keys: Buffer | null = null;
  for (let at = from; at < to; ) {
    const nameEnd = indexOf(bytes, NAME_END_BYTE, at, to);
    if (nameEnd === to) break;
    const valueEnd = indexOf(bytes, VALUE_END_BYTE, nameEnd + 1, to);
    const name = bytes.toString('utf8', at, nameEnd);
    if (name === PropertyName.keys) keys = bytes.subarray(nameEnd + 1, valueEnd);
    else take(decoded, name, bytes, nameEnd + 1, valueEnd, converter);
    at = valueEnd + 1;
  }
  if (keys === null) return decoded;
  // They are the record's key, unless that travels by itself.
  if (decoded.key === null) decoded.key = keys;
  else decoded.headers.push({ name: HeaderName.keys, ...converter.toConnect(HeaderName.keys, keys) });
  return decoded;
}

function take(decoded: DecodedProperties, name: string, bytes: Buffer, from: number, to: number, converter: Converter): void {
  if (name === PropertyName.id) return;
  if (name.startsWith(OWN)) takeOwn(decoded, name, bytes.toString('latin1', from, to), converter);
  else if (name === PropertyName.timestamp) decoded.timestamp = timestampOf(bytes.toString('latin1', from, to));
  else if (name.startsWith(JAVA_HEADER)) takeHeader(decoded, name.slice(JAVA_HEADER.length), bytes.subarray(from, to), converter);
  else if (!isReserved(name) && !(from === to && name === PropertyName.tags))
    takeHeader(decoded, name, bytes.subarray(from, to), converter);
}

function takeHeader({ headers }: DecodedProperties, name: string, value: Buffer, converter: Converter): void {
  headers.push({ name, ...converter.toConnect(name, value) });
}

function timestampOf(text: string): number | undefined {
  const timestamp = Number(text);
  return text !== '' && Number.isFinite(timestamp) ? timestamp : undefined;
}

function takeOwn(decoded: DecodedProperties, name: string, value: string, converter: Converter): void {
  if (name === PropertyName.binaryKey) decoded.key = Buffer.from(value, 'base64');
  else if (name === PropertyName.nullValue) decoded.isNull = true;
  else if (name === PropertyName.emptyBody) decoded.isEmpty = true;
  else if (name.startsWith(PropertyName.binaryHeader)) {
    const own = name.slice(PropertyName.binaryHeader.length).replace(/^\d+:/, '');
    takeHeader(decoded, own, Buffer.from(value, 'base64'), converter);
  }
}

function indexOf(bytes: Buffer, byte: number, from: number, to: number): number {
  let at = from;
  while (at < to && bytes[at] !== byte) at++;
  return at;
}

/** Of encoded properties, those that a copy of the message may have: not its id, and nothing that a broker made of it. */
export function copiedProperties(properties: string): string {
  const copied = properties.split(VALUE_END).filter((property) => {
    const name = property.slice(0, property.indexOf(NAME_END));
    return name !== '' && name !== PropertyName.id && (isOfRecord(name) || !isReserved(name));
  });
  return copied.map((property) => property + VALUE_END).join('');
}

const ID_NAME = Buffer.from(PropertyName.id + NAME_END);
const TRACE_NAME = Buffer.from(TRACEPARENT + NAME_END);
const NAME_END_BYTE = NAME_END.charCodeAt(0);
const VALUE_END_BYTE = VALUE_END.charCodeAt(0);
const NULL_TEXT = Buffer.from('null');
const OWN = 'rmqc.';
/** How apache/rocketmq-connect names what it calls extensions of a record. */
const JAVA_HEADER = 'connect-ext-';

/** Written by the pipeline, though reserved. */
function isOfRecord(name: string): boolean {
  return name.startsWith(OWN) || name.startsWith(JAVA_HEADER) || name === PropertyName.timestamp;
}

/** Whether the pipeline or RocketMQ gives the name a meaning (org.apache.rocketmq.common.message.MessageConst) that no header may have. */
function isReserved(name: string): boolean {
  return isOfRecord(name) || SYSTEM.has(name) || name.startsWith('__RMQ.TRANSIENT.');
}

const SYSTEM = new Set(
  (
    'WAIT DELAY RETRY_TOPIC REAL_TOPIC REAL_QID TRAN_MSG PGROUP MIN_OFFSET MAX_OFFSET BUYER_ID ORIGIN_MESSAGE_ID TRANSFER_FLAG ' +
    'CORRECTION_FLAG MQ2_FLAG RECONSUME_TIME MSG_REGION TRACE_ON UNIQ_KEY EXTEND_UNIQ_INFO MAX_RECONSUME_TIMES CONSUME_START_TIME ' +
    'INNER_NUM INNER_BASE DUP_INFO CHECK_IMMUNITY_TIME_IN_SECONDS TRAN_PREPARED_QUEUE_OFFSET TRANSACTION_CHECK_TIMES INSTANCE_ID ' +
    'CORRELATION_ID REPLY_TO_CLIENT TTL ARRIVE_TIME PUSH_REPLY_TIME CLUSTER MSG_TYPE POP_CK POP_CK_OFFSET 1ST_POP_TIME ' +
    'PROPERTY_FORWARD_QUEUE_ID REDIRECT INNER_MULTI_DISPATCH INNER_MULTI_QUEUE_OFFSET TRACE_CONTEXT BORN_TIMESTAMP TIMER_DELAY_LEVEL ' +
    'TIMER_ENQUEUE_MS TIMER_DEQUEUE_MS TIMER_ROLL_TIMES TIMER_OUT_MS TIMER_DEL_UNIQKEY TIMER_DELAY_SEC TIMER_DELIVER_MS ' +
    'TIMER_DELAY_MS __BORNHOST __transactionId__ __CRC32#'
  ).split(' '),
);

function hasSeparator(text: string): boolean {
  return text.includes(NAME_END) || text.includes(VALUE_END);
}
