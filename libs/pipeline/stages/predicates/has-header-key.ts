import { definePredicate, Type } from '@rocketmq-connect/sdk';

export const hasHeaderKey = definePredicate({
  name: 'HasHeaderKey',
  version: '1.0.0',
  description: 'A predicate which is true for records with at least one header with the configured name.',
  aliases: ['org.apache.kafka.connect.transforms.predicates.HasHeaderKey'],
  config: Type.Object({ name: Type.String({ minLength: 1, description: 'The header name.', importance: 'medium' }) }),
  create: ({ name }) => ({ test: (record) => record.headers?.some((header) => header.name === name) ?? false }),
});
