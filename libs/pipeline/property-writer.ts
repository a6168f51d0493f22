import { isUtf8 } from 'node:buffer';
import { NAME_END, PropertyName, type PropertyWriter, VALUE_END } from '@rocketmq-connect/message-log/message';
import type { EncodedHeaders } from './record-properties.ts';

/** Properties that all messages of a connector have. */
export interface FixedProperties {
  /** '' for none; a header TAGS of a record counts for more. */
  readonly tags: string;
  /** Whether a record's key is its message group, where no header names one. */
  readonly groupByKey: boolean;
}

/**
 * What of a record is not its value travels as message properties: the key as KEYS, headers by their names, and our own below `rmqc.`.
 * What text cannot hold, or what would mean something to RocketMQ, travels as base64 in properties of our own.
 *
 * Written as bytes, for one record after another: nothing is allocated where a record has no headers.
 */
export class RecordProperties implements PropertyWriter {
  bytesMax = 0;
  readonly #fixedTags: Buffer | null;
  readonly #groupByKey: boolean;
  #tags: Buffer | null = null;
  #group: Buffer | null = null;
  #id: PropertyWriter | null = null;
  #key: Buffer | null = null;
  #isKeyText = false;
  #timestamp = '';
  #isNull = false;
  #headers = '';
  #trace: Buffer | null = null;

  constructor({ tags, groupByKey }: FixedProperties = { tags: '', groupByKey: false }) {
    this.#fixedTags = tags === '' ? null : Buffer.from(PropertyName.tags + NAME_END + tags + VALUE_END);
    this.#groupByKey = groupByKey;
  }

  /** `trace`: the property of the batch that the record is of, where that is traced. */
  set(
    id: PropertyWriter | null,
    key: Buffer | null,
    timestamp: number | undefined,
    isNull: boolean,
    headers: EncodedHeaders,
    trace: Buffer | null = null,
  ): void {
    this.#id = id;
    this.#key = key;
    this.#isNull = isNull;
    this.#headers = headers.text;
    let bytesMax = headers.text.length * 3;
    if (id !== null) bytesMax += ID.length + id.bytesMax + 1;
    // A record that came with a trace keeps it.
    this.#trace = trace !== null && headers.traceparent === null ? trace : null;
    if (this.#trace !== null) bytesMax += this.#trace.length;
    if (key !== null) {
      this.#isKeyText = !headers.hasKeys && isText(key);
      bytesMax += BINARY_KEY.length + 5 + (this.#isKeyText ? key.length : Math.ceil(key.length / 3) * 4);
    }
    this.#timestamp = timestamp === undefined ? '' : String(timestamp);
    if (timestamp !== undefined) bytesMax += TIMESTAMP.length + this.#timestamp.length + 1;
    if (isNull) bytesMax += NULL.length;
    this.#tags = headers.hasTags ? null : this.#fixedTags;
    if (this.#tags !== null) bytesMax += this.#tags.length;
    this.#group = this.#groupByKey && key !== null && key.length > 0 && headers.group === null ? groupOf(key) : null;
    if (this.#group !== null) bytesMax += GROUP.length + this.#group.length + 1;
    this.bytesMax = bytesMax;
  }

  write(buffer: Buffer, at: number): number {
    let end = at;
    if (this.#id !== null) {
      buffer.set(ID, end);
      end = this.#id.write(buffer, end + ID.length);
      buffer[end++] = VALUE_END_BYTE;
    }
    // Behind the id, where it is soon found.
    if (this.#trace !== null) {
      buffer.set(this.#trace, end);
      end += this.#trace.length;
    }
    if (this.#key !== null) end = this.#writeKey(this.#key, buffer, end);
    if (this.#timestamp !== '') {
      buffer.set(TIMESTAMP, end);
      end += TIMESTAMP.length;
      end += buffer.write(this.#timestamp, end, 'latin1');
      buffer[end++] = VALUE_END_BYTE;
    }
    if (this.#isNull) {
      buffer.set(NULL, end);
      end += NULL.length;
    }
    if (this.#tags !== null) {
      buffer.set(this.#tags, end);
      end += this.#tags.length;
    }
    if (this.#group !== null) {
      buffer.set(GROUP, end);
      buffer.set(this.#group, end + GROUP.length);
      end += GROUP.length + this.#group.length;
      buffer[end++] = VALUE_END_BYTE;
    }
    return this.#headers === '' ? end : end + buffer.write(this.#headers, end, 'utf8');
  }

  /** A copy of what is set now. */
  copy(): WrittenProperties {
    const buffer = Buffer.allocUnsafe(this.bytesMax);
    return new WrittenProperties(buffer.subarray(0, this.write(buffer, 0)));
  }

  #writeKey(key: Buffer, buffer: Buffer, at: number): number {
    const name = this.#isKeyText ? KEYS : BINARY_KEY;
    buffer.set(name, at);
    let end = at + name.length;
    if (this.#isKeyText) {
      buffer.set(key, end);
      end += key.length;
    } else {
      end += buffer.write(key.toString('base64'), end, 'latin1');
    }
    buffer[end++] = VALUE_END_BYTE;
    return end;
  }
}

/** Properties as bytes. */
export class WrittenProperties implements PropertyWriter {
  readonly bytes: Buffer;
  readonly bytesMax: number;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.bytesMax = bytes.length;
  }

  write(buffer: Buffer, at: number): number {
    buffer.set(this.bytes, at);
    return at + this.bytes.length;
  }
}

/** Whether a property can hold the bytes as they are. */
export function isText(bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (byte === NAME_END_BYTE || byte === VALUE_END_BYTE) return false;
    if (byte > 0x7f) return isUtf8(bytes) && !bytes.includes(NAME_END_BYTE, i) && !bytes.includes(VALUE_END_BYTE, i);
  }
  return true;
}

/** Groups are text. */
function groupOf(key: Buffer): Buffer {
  return isText(key) ? key : Buffer.from(key.toString('base64'), 'latin1');
}

const NAME_END_BYTE = NAME_END.charCodeAt(0);
const VALUE_END_BYTE = VALUE_END.charCodeAt(0);
const ID = Buffer.from(PropertyName.id + NAME_END);
const KEYS = Buffer.from(PropertyName.keys + NAME_END);
const BINARY_KEY = Buffer.from(PropertyName.binaryKey + NAME_END);
const GROUP = Buffer.from(PropertyName.group + NAME_END);
const TIMESTAMP = Buffer.from(PropertyName.timestamp + NAME_END);
const NULL = Buffer.from(`${PropertyName.nullValue}${NAME_END}1${VALUE_END}`);
