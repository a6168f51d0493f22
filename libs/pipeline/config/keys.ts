import { Type } from '@rocketmq-connect/sdk';
import { CommonKeys, ErrorKeys, ThroughputKeys } from './common-keys.ts';
import { PlacementKeys } from './placement-keys.ts';
import { RestartKeys } from './restart-keys.ts';
import { RocketmqSinkKeys, RocketmqSourceKeys } from './rocketmq-keys.ts';
import { SinkKeys } from './sink-keys.ts';
import { SourceKeys } from './source-keys.ts';
import { TopicCreationKeys } from './topic-creation.ts';

/** The keys that every connector of a kind has, beside its own, in the order in which they are shown. */
export const PipelineKeys = {
  source: Type.Object({
    ...CommonKeys,
    ...ErrorKeys,
    ...RestartKeys,
    ...TopicCreationKeys,
    ...SourceKeys,
    ...RocketmqSourceKeys,
    ...ThroughputKeys,
    ...PlacementKeys,
  }),
  sink: Type.Object({
    ...CommonKeys,
    ...SinkKeys,
    ...ErrorKeys,
    ...RestartKeys,
    ...TopicCreationKeys,
    ...RocketmqSinkKeys,
    ...ThroughputKeys,
    ...PlacementKeys,
  }),
};

/** What the scheduler and the runners read by themselves, where no reference is resolved. */
export const MESH_KEYS: readonly string[] = ['tasks.isolation', ...Object.keys(RestartKeys), ...Object.keys(PlacementKeys)];
