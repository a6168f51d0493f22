import type { QueueRef } from '@rocketmq-connect/proto/storage';
import { ConfigError } from '@rocketmq-connect/sdk';
import { canonicalJson, hashOf } from './canonical-json.ts';

/** The key of a source partition, whatever the order of its fields. */
export function sourceHash(partitionJson: string): string {
  return hashOf(parseObject(partitionJson, 'partition'));
}

export function canonicalPartition(partitionJson: string): string {
  return canonicalJson(parseObject(partitionJson, 'partition'));
}

export function queueHash({ topic, broker, queue }: QueueRef): string {
  return hashOf({ rocketmq_topic: topic, rocketmq_broker: broker, rocketmq_queue: queue });
}

/** A JSON object, or `ConfigError` with the field. */
export function parseObject(json: string, field: string): { readonly [key: string]: unknown } {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new ConfigError(`${field} is not valid JSON`, { field, remedy: 'send a JSON object' });
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new ConfigError(`${field} must be a JSON object`, { field, remedy: 'send a JSON object' });
  }
  return value as { readonly [key: string]: unknown };
}
