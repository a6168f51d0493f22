import { definePredicate, Type } from '@rocketmq-connect/sdk';
import { wholeMatch } from '../../config/pattern.ts';

export const topicNameMatches = definePredicate({
  name: 'TopicNameMatches',
  version: '1.0.0',
  description: 'A predicate which is true for records with a topic name that matches the configured regular expression.',
  aliases: ['org.apache.kafka.connect.transforms.predicates.TopicNameMatches'],
  config: Type.Object({
    pattern: Type.String({
      minLength: 1,
      format: 'regex',
      description: "A regular expression for matching against the name of a record's topic.",
      importance: 'medium',
    }),
  }),
  create: ({ pattern }) => {
    const matches = wholeMatch(pattern);
    return { test: (record) => matches(record.topic) };
  },
});
