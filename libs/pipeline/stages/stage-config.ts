import type { AnyStage } from '@rocketmq-connect/sdk';
import { convertConfig } from '../config/convert.ts';

/** The configuration of a stage: the keys of its schema below `prefix`. Throws `ConfigError` with the whole names of the keys. */
export function stageConfig(definition: AnyStage, prefix: string, config: Readonly<Record<string, string>>): never {
  return convertConfig(definition.config, config, prefix) as never;
}
