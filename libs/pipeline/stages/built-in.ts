import type { AnyStage } from '@rocketmq-connect/sdk';
import { byteArrayConverter } from './converters/byte-array.ts';
import { jsonConverter, rocketmqJsonConverter } from './converters/json.ts';
import { simpleHeaderConverter } from './converters/simple-header.ts';
import { stringConverter } from './converters/string.ts';
import { hasHeaderKey } from './predicates/has-header-key.ts';
import { recordIsTombstone } from './predicates/record-is-tombstone.ts';
import { topicNameMatches } from './predicates/topic-name-matches.ts';
import { extractField } from './transforms/extract-field.ts';
import { filter } from './transforms/filter.ts';
import { headerFrom } from './transforms/header-from.ts';
import { hoistField } from './transforms/hoist-field.ts';
import { insertField } from './transforms/insert-field.ts';
import { insertHeader } from './transforms/insert-header.ts';
import { regexRouter } from './transforms/regex-router.ts';
import { valueToKey } from './transforms/value-to-key.ts';

/** The stages that every catalogue has. */
export const builtInStages: readonly AnyStage[] = [
  stringConverter,
  byteArrayConverter,
  jsonConverter,
  rocketmqJsonConverter,
  simpleHeaderConverter,
  ...extractField,
  filter,
  ...headerFrom,
  ...hoistField,
  ...insertField,
  insertHeader,
  regexRouter,
  valueToKey,
  hasHeaderKey,
  recordIsTombstone,
  topicNameMatches,
];
