import { type Converter, DataError, defineConverter, Schemas, Type } from '@rocketmq-connect/sdk';

/** Bytes as they are. */
export const byteArrayConverter = defineConverter({
  name: 'ByteArrayConverter',
  version: '1.0.0',
  description: 'Bytes as they are.',
  aliases: [
    'org.apache.kafka.connect.converters.ByteArrayConverter',
    'org.apache.rocketmq.connect.runtime.converter.record.ByteArrayConverter',
  ],
  config: Type.Object({}),
  create: () => () => bytesConverter,
});

const bytesConverter: Converter = {
  fromConnect: (topic, schema, value) => {
    if (Buffer.isBuffer(value)) return value;
    if (value === null || value === undefined) return null;
    if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    throw new DataError(`ByteArrayConverter takes bytes only, and got ${schema?.type ?? typeof value} for topic ${topic}`, {
      code: 'NOT_BYTES',
      remedy: 'Use StringConverter or JsonConverter for this connector.',
    });
  },
  toConnect: (_topic, bytes) => ({ schema: Schemas.optionalBytes, value: bytes }),
};
