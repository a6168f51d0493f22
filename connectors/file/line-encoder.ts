import type { SinkRecord } from '@rocketmq-connect/sdk';

const newline = 10;
const keptBytes = 4 * 1024 * 1024;

/** Lines in one piece, each with its newline. Valid until the next `encode`. */
export interface EncodedLines {
  readonly bytes: Buffer;
  /** Where each line ends; empty unless asked for. */
  readonly ends: readonly number[];
}

/** Values to lines: text and bytes as they are, null as `null` (as Kafka's sink prints it), structures as JSON. */
export class LineEncoder {
  readonly #wantEnds: boolean;
  #buffer: Buffer = Buffer.alloc(0);

  constructor(wantEnds: boolean) {
    this.#wantEnds = wantEnds;
  }

  encode(records: readonly SinkRecord[]): EncodedLines {
    let total = records.length;
    const texts: Buffer[] = [];
    for (const { value } of records) {
      if (value instanceof Uint8Array) {
        total += value.length;
      } else {
        const text = Buffer.from(textOf(value));
        texts.push(text);
        total += text.length;
      }
    }
    const buffer = this.#room(total);
    const ends: number[] = [];
    let at = 0;
    let nextText = 0;
    for (const { value } of records) {
      let bytes: Uint8Array | undefined;
      if (value instanceof Uint8Array) {
        bytes = value;
      } else {
        bytes = texts[nextText];
        nextText += 1;
      }
      if (bytes === undefined) continue;
      buffer.set(bytes, at);
      at += bytes.length;
      buffer[at] = newline;
      at += 1;
      if (this.#wantEnds) ends.push(at);
    }
    return { bytes: buffer.subarray(0, at), ends };
  }

  #room(bytes: number): Buffer {
    if (bytes > keptBytes) return Buffer.allocUnsafeSlow(bytes);
    if (this.#buffer.length < bytes) this.#buffer = Buffer.allocUnsafeSlow(Math.min(keptBytes, Math.max(64 * 1024, bytes * 2)));
    return this.#buffer;
  }
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'object') return JSON.stringify(value, plainJson);
  return String(value);
}

/** Maps as objects, int64 with all digits, bytes as base64, as the JSON converter writes them. */
function plainJson(this: unknown, key: string, value: unknown): unknown {
  // Buffers turn themselves into {type, data} before they come here: look at what stood there.
  const held = typeof this === 'object' && this !== null ? (this as Record<string, unknown>)[key] : value;
  if (held instanceof Uint8Array) return Buffer.from(held).toString('base64');
  if (value instanceof Map) return Object.fromEntries(value);
  if (typeof value === 'bigint') return rawJson(value.toString());
  return value;
}

/** A number with more digits than a `number` has. */
function rawJson(text: string): unknown {
  const json: { rawJSON?: (text: string) => unknown } = JSON as never;
  return json.rawJSON === undefined ? text : json.rawJSON(text);
}
