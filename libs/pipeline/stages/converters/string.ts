import { isUtf8 } from 'node:buffer';
import { type Converter, DataError, defineConverter, type Schema, Schemas, Type } from '@rocketmq-connect/sdk';
import { plainJson } from './plain-json.ts';

/**
 * Text as UTF-8. A Buffer passes through untouched, valid UTF-8 or not; other values are written as JSON. Reads strings, or with
 * `textAsBuffer` the bytes as they are.
 */
export const stringConverter = defineConverter({
  name: 'StringConverter',
  version: '1.0.0',
  description: 'Text as UTF-8.',
  aliases: ['org.apache.kafka.connect.storage.StringConverter', 'org.apache.rocketmq.connect.runtime.converter.record.StringConverter'],
  config: Type.Object({}),
  create: () => (_isKey, textAsBuffer) => (textAsBuffer === true ? textBuffers : textStrings),
});

const textStrings: Converter = {
  fromConnect: (_topic, _schema, value) => toBytes(value),
  toConnect: (topic, bytes) => {
    if (bytes === null) return { schema: Schemas.optionalString, value: null };
    // Decoding would put U+FFFD in place of what is not UTF-8: the original would be lost without a trace.
    if (!isUtf8(bytes)) {
      throw new DataError(`a message of ${topic} is not valid UTF-8 text`, {
        code: 'NOT_UTF8',
        remedy: 'Use ByteArrayConverter, or let the dead-letter topic take such messages.',
      });
    }
    return { schema: Schemas.optionalString, value: bytes.toString('utf8') };
  },
};

const textBuffers: Converter = {
  fromConnect: textStrings.fromConnect,
  toConnect: (_topic, bytes) => ({ schema: Schemas.optionalString, value: bytes }),
};

function toBytes(value: unknown): Buffer | null {
  if (Buffer.isBuffer(value)) return value;
  if (typeof value === 'string') return Buffer.from(value, 'utf8');
  if (value === null || value === undefined) return null;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return Buffer.from(typeof value === 'object' ? JSON.stringify(plainJson(value)) : String(value), 'utf8');
}

/** A value under a string schema as a string; bytes that are no text are refused. */
export function textOf(value: unknown, schema: Schema): string | undefined {
  if (typeof value === 'string') return value;
  if (schema.type === 'string' && Buffer.isBuffer(value) && isUtf8(value)) return value.toString('utf8');
  return undefined;
}
