import { type TObject, Type } from '@rocketmq-connect/sdk';
import { CommonKeys, ErrorKeys } from './common-keys.ts';
import { SinkKeys } from './sink-keys.ts';
import { SourceKeys } from './source-keys.ts';

/** The keys that every connector of a kind has, beside its own, in the order in which they are shown. */
export const PipelineKeys: Readonly<Record<'source' | 'sink', TObject>> = {
  source: Type.Object({ ...CommonKeys, ...ErrorKeys, ...SourceKeys }),
  sink: Type.Object({ ...CommonKeys, ...SinkKeys, ...ErrorKeys }),
};
