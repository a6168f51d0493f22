import { NAME_END, PropertyName, VALUE_END } from '@rocketmq-connect/message-log/message';
import { type Converter, DataError, type Header } from '@rocketmq-connect/sdk';
import { isText } from './property-writer.ts';

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
    const plain = bytes === null ? 'null' : isText(bytes) ? bytes.toString('utf8') : undefined;
    if (plain !== undefined && !names.has(name) && !isReserved(name)) text += `${name}${NAME_END}${plain}${VALUE_END}`;
    // The index keeps headers of one name apart.
    else text += `${PropertyName.binaryHeader}${index}:${name}${NAME_END}${(bytes ?? NULL_TEXT).toString('base64')}${VALUE_END}`;
    names.add(name);
  });
  return text;
}

/** The most bytes of encoded properties that a message carries. */
export const MAX_PROPERTIES_BYTES = 32_767;

/** Whether a message can carry the encoded properties. */
export function propertiesFit(properties: string): boolean {
  return properties.length * 3 <= MAX_PROPERTIES_BYTES || Buffer.byteLength(properties) <= MAX_PROPERTIES_BYTES;
}

/** Most messages of ours carry nothing but an id: nothing is to be decoded then. */
export function hasOnlyAnId(bytes: Buffer, from: number, to: number): boolean {
  if (from === to) return true;
  for (let i = 0; i < ID_NAME.length; i++) if (bytes[from + i] !== ID_NAME[i]) return false;
  for (let at = from + ID_NAME.length; at < to - 1; at++) if (bytes[at] === VALUE_END_BYTE) return false;
  return true;
}

/** Properties, decoded. */
export interface DecodedProperties {
  key: Buffer | null;
  timestamp: number | undefined;
  isNull: boolean;
  headers: Header[];
}

/** Decodes the encoded properties in a part of `bytes`. Key and headers are slices of it where they are no base64. */
export function decodeProperties(bytes: Buffer, from: number, to: number, converter: Converter): DecodedProperties {
  const decoded: DecodedProperties = { key: null, timestamp: undefined, isNull: false, headers: [] };
  for (let at = from; at < to; ) {
    const nameEnd = indexOf(bytes, NAME_END_BYTE, at, to);
    if (nameEnd === to) break;
    const valueEnd = indexOf(bytes, VALUE_END_BYTE, nameEnd + 1, to);
    take(decoded, bytes.toString('utf8', at, nameEnd), bytes, nameEnd + 1, valueEnd, converter);
    at = valueEnd + 1;
  }
  return decoded;
}

function take(decoded: DecodedProperties, name: string, bytes: Buffer, from: number, to: number, converter: Converter): void {
  if (name === PropertyName.id) return;
  if (name === PropertyName.keys) decoded.key ??= bytes.subarray(from, to);
  else if (name.startsWith(OWN)) takeOwn(decoded, name, bytes.toString('latin1', from, to), converter);
  else if (!isReserved(name)) decoded.headers.push({ name, ...converter.toConnect(name, bytes.subarray(from, to)) });
}

function takeOwn(decoded: DecodedProperties, name: string, value: string, converter: Converter): void {
  if (name === PropertyName.binaryKey) decoded.key = Buffer.from(value, 'base64');
  else if (name === PropertyName.timestamp) decoded.timestamp = Number(value);
  else if (name === PropertyName.nullValue) decoded.isNull = true;
  else if (name.startsWith(PropertyName.binaryHeader)) {
    const own = name.slice(PropertyName.binaryHeader.length).replace(/^\d+:/, '');
    decoded.headers.push({ name: own, ...converter.toConnect(own, Buffer.from(value, 'base64')) });
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
    return name !== '' && name !== PropertyName.id && (name === PropertyName.keys || name.startsWith(OWN) || !isReserved(name));
  });
  return copied.map((property) => property + VALUE_END).join('');
}

const ID_NAME = Buffer.from(PropertyName.id + NAME_END);
const NAME_END_BYTE = NAME_END.charCodeAt(0);
const VALUE_END_BYTE = VALUE_END.charCodeAt(0);
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

function hasSeparator(text: string): boolean {
  return text.includes(NAME_END) || text.includes(VALUE_END);
}
