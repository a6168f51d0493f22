import { MAX_BATCH_BYTES } from '@rocketmq-connect/message-log/checks';
import { type ConnectRecord, DataError } from '@rocketmq-connect/sdk';
import type { Stage } from '../errors.ts';
import { checkPropertiesSize, encodeHeaders, encodeProperties } from '../record-properties.ts';
import type { TransformChain } from '../stages/chain.ts';
import type { Converters } from '../stages/converters.ts';

const EMPTY = Buffer.alloc(0);
const MESSAGE_BYTES = 22;

/** Transforms and converters: a record in, its message out. The message stands in fields, so that none is allocated. */
export class RecordEncoder {
  readonly chain: TransformChain;
  readonly #converters: Converters;
  /** Where a record is now; of use when it fails. */
  stage: Stage = 'TRANSFORMATION';
  body: Buffer = EMPTY;
  key: Buffer | null = null;
  /** Encoded. */
  properties = '';

  constructor(chain: TransformChain, converters: Converters) {
    this.chain = chain;
    this.#converters = converters;
  }

  /** Sets `body`, `key` and `properties`. Throws what converters throw, and `DataError` for what no message can be. */
  encode(record: ConnectRecord, id: string | undefined): void {
    const { topic, headers, timestamp } = record;
    this.key = null;
    if (record.key !== undefined && record.key !== null) {
      this.stage = 'KEY_CONVERTER';
      this.key = this.#converters.key.fromConnect(topic, record.keySchema, record.key, headers);
    }
    this.stage = 'VALUE_CONVERTER';
    const value = this.#converters.value.fromConnect(topic, record.valueSchema, record.value, headers);
    this.body = value ?? EMPTY;
    this.stage = 'HEADER_CONVERTER';
    let properties = encodeProperties(id, this.key, timestamp, value === null);
    if (headers !== undefined && headers.length > 0) properties += encodeHeaders(headers, this.#converters.header);
    this.stage = 'PRODUCE';
    checkPropertiesSize(properties);
    if (this.body.length + properties.length * 3 + MESSAGE_BYTES > MAX_BATCH_BYTES) checkMessageSize(this.body, properties);
    this.properties = properties;
  }

  /** A record as its dead letter: as the converters have it, or where they fail as plainly as possible. Nothing is lost. */
  plain(record: ConnectRecord): { body: Buffer; properties: string } {
    const { topic, headers } = record;
    const converters = this.#converters;
    const value = tryOr(() => converters.value.fromConnect(topic, record.valueSchema, record.value, headers), record.value);
    const key = tryOr(() => converters.key.fromConnect(topic, record.keySchema, record.key ?? null, headers), record.key);
    let properties = encodeProperties(undefined, key, record.timestamp, value === null);
    try {
      if (headers !== undefined) properties += encodeHeaders(headers, converters.header);
    } catch {
      // What is wrong with the headers is said in the error; key and value can still be kept.
    }
    return { body: value ?? EMPTY, properties };
  }
}

function checkMessageSize(body: Buffer, properties: string): void {
  const bytes = body.length + Buffer.byteLength(properties) + MESSAGE_BYTES;
  if (bytes <= MAX_BATCH_BYTES) return;
  throw new DataError(`the record has ${bytes} bytes as a message; the log takes ${MAX_BATCH_BYTES}`, {
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
