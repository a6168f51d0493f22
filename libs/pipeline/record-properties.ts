import { isUtf8 } from 'node:buffer';
import { NAME_END, PropertyName, VALUE_END } from '@rocketmq-connect/message-log/message';
import { type Converter, DataError, type Header } from '@rocketmq-connect/sdk';

/**
 * What of a record is not its value travels as message properties: the key as KEYS, headers by their names, and our own below `rmqc.`.
 * What text cannot hold, or what would mean something to RocketMQ, travels as base64 in properties of our own. Here: all properties but headers, encoded for a batch.
 */
export function encodeProperties(id: string | undefined, key: Buffer | null, timestamp: number | undefined, isNull: boolean): string {
  let text = id === undefined ? '' : `${PropertyName.id}${NAME_END}${id}${VALUE_END}`;
  if (key !== null) {
    const keyText = asText(key);
    text +=
      keyText === undefined
        ? `${PropertyName.binaryKey}${NAME_END}${key.toString('base64')}${VALUE_END}`
        : `${PropertyName.keys}${NAME_END}${keyText}${VALUE_END}`;
  }
  if (timestamp !== undefined) text += `${PropertyName.timestamp}${NAME_END}${timestamp}${VALUE_END}`;
  if (isNull) text += `${PropertyName.nullValue}${NAME_END}1${VALUE_END}`;
  return text;
}

/** Headers, encoded for a batch. Throws `DataError` for names that no property can have. */
export function encodeHeaders(headers: readonly Header[], converter: Converter): string {
  let text = '';
  const names = new Set<string>();
  headers.forEach(({ name, value, schema }, index) => {
    if (typeof name !== 'string' || name === '' || hasSeparator(name)) {
      throw new DataError(`a header is named ${JSON.stringify(name)}, which no message property can be`, {
        code: 'HEADER_NAME_INVALID',
        remedy: 'Names are texts without the characters 1 and 2; rename or drop the header by a transform.',
      });
    }
    const bytes = converter.fromConnect(name, schema, value);
    const plain = bytes === null ? 'null' : asText(bytes);
    if (plain !== undefined && !names.has(name) && !isReserved(name)) text += `${name}${NAME_END}${plain}${VALUE_END}`;
    // The index keeps headers of one name apart.
    else text += `${PropertyName.binaryHeader}${index}:${name}${NAME_END}${(bytes ?? NULL_TEXT).toString('base64')}${VALUE_END}`;
    names.add(name);
  });
  return text;
}

/** Whether a message can carry the encoded properties. */
export function propertiesFit(properties: string): boolean {
  return properties.length * 3 <= MAX_PROPERTIES_BYTES || Buffer.byteLength(properties) <= MAX_PROPERTIES_BYTES;
}

/** Throws `DataError` where a message cannot carry the encoded properties. */
export function checkPropertiesSize(properties: string): void {
  if (propertiesFit(properties)) return;
  throw new DataError(`key and headers of a record take ${Buffer.byteLength(properties)} bytes; a message holds ${MAX_PROPERTIES_BYTES}`, {
    code: 'PROPERTIES_TOO_LARGE',
    remedy: 'Drop or shorten headers, or the key, by a transform.',
  });
}

/** Most messages of ours carry nothing but an id: nothing is to be decoded then. */
export function hasOnlyAnId(properties: string): boolean {
  return properties.length === 0 || (properties.startsWith(ID_START) && properties.indexOf(VALUE_END) >= properties.length - 1);
}

/** A copy of a message is not the record that its id names. */
export function withoutId(properties: string): string {
  if (!properties.startsWith(ID_START)) return properties;
  const end = properties.indexOf(VALUE_END);
  return end === -1 ? '' : properties.slice(end + 1);
}

/** Properties, decoded. */
export interface DecodedProperties {
  key: Buffer | null;
  timestamp: number | undefined;
  isNull: boolean;
  headers: Header[];
}

export function decodeProperties(properties: string, converter: Converter): DecodedProperties {
  const decoded: DecodedProperties = { key: null, timestamp: undefined, isNull: false, headers: [] };
  for (let at = 0; at < properties.length; ) {
    const nameEnd = properties.indexOf(NAME_END, at);
    if (nameEnd === -1) break;
    const found = properties.indexOf(VALUE_END, nameEnd);
    const valueEnd = found === -1 ? properties.length : found;
    take(decoded, properties.slice(at, nameEnd), properties.slice(nameEnd + 1, valueEnd), converter);
    at = valueEnd + 1;
  }
  return decoded;
}

function take(decoded: DecodedProperties, name: string, value: string, converter: Converter): void {
  if (name === PropertyName.keys) decoded.key ??= Buffer.from(value);
  else if (name === PropertyName.binaryKey) decoded.key = Buffer.from(value, 'base64');
  else if (name === PropertyName.timestamp) decoded.timestamp = Number(value);
  else if (name === PropertyName.nullValue) decoded.isNull = true;
  else if (name.startsWith(PropertyName.binaryHeader)) {
    const own = name.slice(PropertyName.binaryHeader.length).replace(/^\d+:/, '');
    decoded.headers.push({ name: own, ...converter.toConnect(own, Buffer.from(value, 'base64')) });
  } else if (!isReserved(name)) {
    decoded.headers.push({ name, ...converter.toConnect(name, Buffer.from(value)) });
  }
}

const ID_START = `${PropertyName.id}${NAME_END}`;
const MAX_PROPERTIES_BYTES = 32_767;
const NULL_TEXT = Buffer.from('null');
const OWN = 'rmqc.';

/** Whether the pipeline or RocketMQ gives the name a meaning (org.apache.rocketmq.common.message.MessageConst); TAGS may be set. */
function isReserved(name: string): boolean {
  return name.startsWith(OWN) || SYSTEM.has(name) || (name.startsWith('__') && SYSTEM_HIDDEN.has(name));
}

const SYSTEM = new Set(
  (
    'KEYS WAIT DELAY RETRY_TOPIC REAL_TOPIC REAL_QID TRAN_MSG PGROUP MIN_OFFSET MAX_OFFSET BUYER_ID ORIGIN_MESSAGE_ID TRANSFER_FLAG ' +
    'CORRECTION_FLAG MQ2_FLAG RECONSUME_TIME MSG_REGION TRACE_ON UNIQ_KEY EXTEND_UNIQ_INFO MAX_RECONSUME_TIMES CONSUME_START_TIME ' +
    'INNER_NUM INNER_BASE DUP_INFO CHECK_IMMUNITY_TIME_IN_SECONDS TRANSACTION_PREPARED_QUEUE_OFFSET TRANSACTION_ID ' +
    'TRANSACTION_CHECK_TIMES INSTANCE_ID CORRELATION_ID REPLY_TO_CLIENT TTL ARRIVE_TIME PUSH_REPLY_TIME CLUSTER MSG_TYPE POP_CK ' +
    'POP_CK_OFFSET FIRST_POP_TIME BORN_HOST BORN_TIMESTAMP TIMER_DELAY_LEVEL TIMER_ENQUEUE_MS TIMER_DEQUEUE_MS TIMER_ROLL_TIMES ' +
    'TIMER_OUT_MS TIMER_DEL_UNIQKEY TIMER_DELAY_SEC TIMER_DELIVER_MS TIMER_DELAY_MS LMQ_DISPATCH INNER_MULTI_DISPATCH ' +
    'INNER_MULTI_QUEUE_OFFSET CRC32'
  ).split(' '),
);
const SYSTEM_HIDDEN = new Set(['__SHARDINGKEY', '__transactionId__', '__CRC32#', '__CRC32']);

/** Bytes that a property holds as they are, or undefined. */
function asText(bytes: Buffer): string | undefined {
  if (!isUtf8(bytes)) return undefined;
  const text = bytes.toString('utf8');
  return hasSeparator(text) ? undefined : text;
}

function hasSeparator(text: string): boolean {
  return text.includes(NAME_END) || text.includes(VALUE_END);
}
