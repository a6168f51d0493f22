import { defineTransform, Type } from '@rocketmq-connect/sdk';
import { headerOfText } from '../converters/simple-header.ts';

/** The same header for every record, for example a tag of RocketMQ. */
export const insertHeader = defineTransform({
  name: 'InsertHeader',
  version: '1.0.0',
  description: 'Adds a header to each record.',
  aliases: ['org.apache.kafka.connect.transforms.InsertHeader'],
  config: Type.Object({
    header: Type.String({ minLength: 1, description: 'The name of the header.', importance: 'high' }),
    'value.literal': Type.String({
      minLength: 1,
      description: 'The literal value that is to be set as the header value on all records; its schema is inferred.',
      importance: 'high',
    }),
  }),
  create: (config) => {
    const header = { name: config.header, ...headerOfText(config['value.literal']) };
    return { apply: (record) => ({ ...record, headers: [...(record.headers ?? []), header] }) };
  },
});
