import type { PropertyWriter } from '@rocketmq-connect/message-log/message';
import { type ConnectRecord, DataError } from '@rocketmq-connect/sdk';
import type { Stage } from '../errors.ts';
import { type FixedProperties, RecordProperties } from '../property-writer.ts';
import { encodeHeaders, MAX_PROPERTIES_BYTES, NO_HEADERS } from '../record-properties.ts';
import type { TransformChain } from '../stages/chain.ts';
import type { Converters } from '../stages/converters.ts';
import type { SourceTrace } from '../tracing/source-trace.ts';

/** When messages are to be delivered, where their records do not say it. */
export interface Delay {
  readonly byDefaultMs: number;
  /** Whether the log can. */
  readonly supported: boolean;
}

const EMPTY = Buffer.alloc(0);
const MESSAGE_BYTES = 22;

/** Transforms and converters: a record in, its message out. The message stands in fields, so that none is allocated. */
export class RecordEncoder {
  readonly chain: TransformChain;
  readonly #converters: Converters;
  /** Where a record is now; of use when it fails. */
  stage: Stage = 'TRANSFORMATION';
  body: Buffer = EMPTY;
  /** What its queue is chosen by: its message group, else its key. */
  routeKey: Buffer | null = null;
  /** 0: it is delivered at once. */
  delayMs = 0;
  readonly properties: RecordProperties;
  /** Of the batch that is encoded; null: it is not traced. */
  trace: SourceTrace | null = null;
  readonly #fixed: FixedProperties;
  readonly #delay: Delay;
  readonly #messageBytesMax: number;

  constructor(chain: TransformChain, converters: Converters, fixed: FixedProperties, delay: Delay, messageBytesMax: number) {
    this.chain = chain;
    this.#converters = converters;
    this.#fixed = fixed;
    this.#delay = delay;
    this.#messageBytesMax = messageBytesMax;
    this.properties = new RecordProperties(fixed);
  }

  /** Sets `body`, `routeKey`, `delayMs` and `properties`. Throws what converters throw, and `DataError` for what no message can be. */
  encode(record: ConnectRecord, id: PropertyWriter | null): void {
    const { topic, headers } = record;
    let key: Buffer | null = null;
    if (record.key !== undefined && record.key !== null) {
      this.stage = 'KEY_CONVERTER';
      key = this.#converters.key.fromConnect(topic, record.keySchema, record.key, headers);
    }
    this.stage = 'VALUE_CONVERTER';
    const value = this.#converters.value.fromConnect(topic, record.valueSchema, record.value, headers);
    this.body = value ?? EMPTY;
    let encoded = NO_HEADERS;
    if (headers !== undefined && headers.length > 0) {
      this.stage = 'HEADER_CONVERTER';
      encoded = encodeHeaders(headers, this.#converters.header);
    }
    this.stage = 'PRODUCE';
    this.routeKey = encoded.group === null ? key : Buffer.from(encoded.group);
    const delayMs = encoded.delayMs ?? this.#delay.byDefaultMs;
    if (delayMs > 0 && !this.#delay.supported) throw delayNotSupported();
    this.delayMs = delayMs;
    const { properties } = this;
    // The log cannot be searched for what it holds back: an id would promise what cannot be kept.
    const { trace } = this;
    if (trace !== null && encoded.traceparent !== null) trace.carries(encoded.traceparent);
    properties.set(delayMs > 0 ? null : id, key, record.timestamp, value === null, encoded, trace?.propertyOfNext());
    if (properties.bytesMax > MAX_PROPERTIES_BYTES) checkPropertiesSize(properties.copy().bytesMax);
    if (this.body.length + properties.bytesMax + MESSAGE_BYTES > this.#messageBytesMax) {
      checkMessageSize(this.body.length + properties.copy().bytesMax + MESSAGE_BYTES, this.#messageBytesMax);
    }
  }

  /** A record as its dead letter: as the converters have it, or where they fail as plainly as possible. Nothing is lost. */
  plain(record: ConnectRecord): { body: Buffer; properties: string } {
    const { topic, headers } = record;
    const converters = this.#converters;
    const value = tryOr(() => converters.value.fromConnect(topic, record.valueSchema, record.value, headers), record.value);
    const key = tryOr(() => converters.key.fromConnect(topic, record.keySchema, record.key ?? null, headers), record.key);
    const properties = new RecordProperties(this.#fixed);
    let encoded = NO_HEADERS;
    try {
      if (headers !== undefined) encoded = encodeHeaders(headers, converters.header);
    } catch {
      // What is wrong with the headers is said in the error; key and value can still be kept.
    }
    properties.set(null, key, record.timestamp, value === null, encoded);
    return { body: value ?? EMPTY, properties: properties.copy().bytes.toString('utf8') };
  }
}

function delayNotSupported(): DataError {
  return new DataError('a record is to be delivered later, which this message log cannot do', {
    code: 'DELAY_NOT_SUPPORTED',
    field: 'rocketmq.delay.ms',
    remedy: 'Connect to a RocketMQ cluster, or drop the header rocketmq.delay.ms by a transform.',
  });
}

function checkPropertiesSize(bytes: number): void {
  if (bytes <= MAX_PROPERTIES_BYTES) return;
  throw new DataError(`key and headers of a record take ${bytes} bytes; a message holds ${MAX_PROPERTIES_BYTES}`, {
    code: 'PROPERTIES_TOO_LARGE',
    remedy: 'Drop or shorten headers, or the key, by a transform.',
  });
}

function checkMessageSize(bytes: number, most: number): void {
  if (bytes <= most) return;
  throw new DataError(`the record has ${bytes} bytes as a message; the log takes ${most}`, {
    code: 'RECORD_TOO_LARGE',
    remedy: 'Make records smaller at their source or by a transform, or let the dead-letter topic take them.',
  });
}

function tryOr(convert: () => Buffer | null, value: unknown): Buffer | null {
  try {
    return convert();
  } catch {
    if (value === null || value === undefined) return null;
    if (Buffer.isBuffer(value)) return value;
    return Buffer.from(typeof value === 'string' ? value : plainText(value));
  }
}

function plainText(value: unknown): string {
  try {
    const text = JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? String(part) : part));
    return text ?? String(value);
  } catch {
    return String(value);
  }
}
