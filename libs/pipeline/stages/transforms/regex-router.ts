import { defineTransform, Type } from '@rocketmq-connect/sdk';
import { compilePattern } from '../../config/pattern.ts';

/** Renames the topic where the whole name matches; `$1` in the replacement is a group. */
export const regexRouter = defineTransform({
  name: 'RegexRouter',
  version: '1.0.0',
  description: 'Updates the topic of a record using the configured regular expression and replacement string.',
  aliases: ['org.apache.kafka.connect.transforms.RegexRouter'],
  config: Type.Object({
    regex: Type.String({ format: 'regex', description: 'Regular expression to use for matching.', importance: 'high' }),
    replacement: Type.String({ description: 'Replacement string.', importance: 'high' }),
  }),
  create: ({ regex, replacement }) => {
    const pattern = compilePattern(regex);
    // There are few topics and many records.
    const routes = new Map<string, string>();
    const route = (topic: string): string => {
      const known = routes.get(topic);
      if (known !== undefined) return known;
      const matcher = pattern.matcher(topic);
      const target = matcher.matches() ? pattern.matcher(topic).replaceFirst(replacement) : topic;
      if (routes.size < ROUTES_MAX) routes.set(topic, target);
      return target;
    };
    return {
      apply: (record) => {
        const topic = route(record.topic);
        return topic === record.topic ? record : { ...record, topic };
      },
    };
  },
});

const ROUTES_MAX = 10_000;
