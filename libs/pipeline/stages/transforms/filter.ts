import { defineTransform, Type } from '@rocketmq-connect/sdk';

/** Drops every record that its predicate selects. */
export const filter = defineTransform({
  name: 'Filter',
  version: '1.0.0',
  description: 'Drops all records, filtering them from subsequent transformations in the chain. Use it with a predicate.',
  aliases: ['org.apache.kafka.connect.transforms.Filter'],
  config: Type.Object({}),
  create: () => ({ apply: () => null }),
});
