import { definePredicate, Type } from '@rocketmq-connect/sdk';

export const recordIsTombstone = definePredicate({
  name: 'RecordIsTombstone',
  version: '1.0.0',
  description: 'A predicate which is true for records which are tombstones (i.e. have null value).',
  aliases: ['org.apache.kafka.connect.transforms.predicates.RecordIsTombstone'],
  config: Type.Object({}),
  create: () => ({ test: (record) => record.value === null || record.value === undefined }),
});
