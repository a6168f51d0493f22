import { ConnectorType } from '@rocketmq-connect/proto/common';
import type { PartitionOffset } from '@rocketmq-connect/proto/offset';
import type { QueueRef, StoredOffset } from '@rocketmq-connect/proto/storage';
import { ConfigError } from '@rocketmq-connect/sdk';
import { canonicalJson } from './canonical-json.ts';
import { canonicalPartition, parseObject } from './partition.ts';

/** One position as a user wants it; `offset` null removes it. */
export type OffsetChange =
  | { readonly queue: QueueRef; readonly offset: bigint | null }
  | { readonly queue?: undefined; readonly partitionJson: string; readonly offset: string | null };

const changesMax = 10_000;

/** The changes of an alter request, in Kafka Connect's shape and words. Throws `ConfigError` with the field at fault. */
export function parseOffsetChanges(
  type: ConnectorType,
  given: readonly PartitionOffset[],
  stored: readonly StoredOffset[],
): OffsetChange[] {
  if (given.length === 0) throw wrong('offsets', 'Partitions / offsets need to be provided for an alter offsets request');
  if (given.length > changesMax) throw wrong('offsets', `a request may change ${changesMax} positions, not ${given.length}`);
  const seen = new Set<string>();
  return given.map((one, index) => {
    const at = `offsets[${index}]`;
    const change = type === ConnectorType.SINK ? sinkChange(one, at, stored) : sourceChange(one, at);
    const name = canonicalJson(change.queue ?? change.partitionJson);
    if (seen.has(name)) throw wrong(`${at}.partition`, `the partition ${name} is given twice`);
    seen.add(name);
    return change;
  });
}

/** A stored position as users see it. */
export function toPartitionOffset(offset: StoredOffset): PartitionOffset {
  const { queue, position, partitionJson, offsetJson } = offset;
  if (queue === undefined) return { partitionJson, offsetJson };
  const partition = { rocketmq_topic: queue.topic, rocketmq_broker: queue.broker, rocketmq_queue: queue.queue };
  return { partitionJson: JSON.stringify(partition), offsetJson: `{"rocketmq_offset":${position}}` };
}

function sourceChange(given: PartitionOffset, at: string): OffsetChange {
  if (isNull(given.partitionJson)) throw wrong(`${at}.partition`, 'The partition for a source connector offset cannot be null or missing');
  const partition = parseObject(given.partitionJson, `${at}.partition`);
  if (Object.keys(partition).length === 0) throw wrong(`${at}.partition`, 'The partition for a source connector offset cannot be empty');
  const partitionJson = canonicalPartition(given.partitionJson);
  if (isNull(given.offsetJson)) return { partitionJson, offset: null };
  return { partitionJson, offset: canonicalJson(parseObject(given.offsetJson, `${at}.offset`)) };
}

function sinkChange(given: PartitionOffset, at: string, stored: readonly StoredOffset[]): OffsetChange {
  if (isNull(given.partitionJson)) throw wrong(`${at}.partition`, 'The partition for a sink connector offset cannot be null or missing');
  const queue = parseQueue(parseObject(given.partitionJson, `${at}.partition`), `${at}.partition`, stored);
  if (isNull(given.offsetJson)) return { queue, offset: null };
  const offset = parseObject(given.offsetJson, `${at}.offset`);
  const key = ['rocketmq_offset', 'kafka_offset'].find((name) => name in offset);
  if (key === undefined) {
    throw wrong(
      `${at}.offset`,
      "The offset for a sink connector should either be null or contain the key 'kafka_offset' or 'rocketmq_offset'",
    );
  }
  const value = integer(offset[key]);
  if (value === null) {
    const shown = JSON.stringify(offset[key]);
    throw wrong(
      `${at}.offset.${key}`,
      `Failed to parse the following offset value in the provided offsets: '${shown}'. Offset values for sink connectors need to be integers`,
    );
  }
  return { queue, offset: BigInt(value) };
}

function parseQueue(partition: { readonly [key: string]: unknown }, at: string, stored: readonly StoredOffset[]): QueueRef {
  const own = ['rocketmq_topic', 'rocketmq_queue'].every((key) => key in partition);
  const [topicKey, queueKey] = own ? ['rocketmq_topic', 'rocketmq_queue'] : ['kafka_topic', 'kafka_partition'];
  if (!(topicKey in partition) || !(queueKey in partition)) {
    throw wrong(
      at,
      "The partition for a sink connector offset must contain the keys 'kafka_topic' and 'kafka_partition'" +
        ", or 'rocketmq_topic', 'rocketmq_broker' and 'rocketmq_queue'",
    );
  }
  const topic = partition[topicKey];
  if (typeof topic !== 'string' || topic === '') throw wrong(`${at}.${topicKey}`, 'Topic names must be valid strings and may not be null');
  const queue = integer(partition[queueKey]);
  if (queue === null || queue > 2 ** 31 - 1) {
    const shown = JSON.stringify(partition[queueKey]);
    throw wrong(
      `${at}.${queueKey}`,
      `Failed to parse the following partition value in the provided offsets: '${shown}'. Partition values for sink connectors need to be integers.`,
    );
  }
  const broker = partition['rocketmq_broker'] ?? onlyBroker(topic, queue, stored, at);
  if (typeof broker !== 'string' || broker === '')
    throw wrong(`${at}.rocketmq_broker`, 'Broker names must be valid strings and may not be null');
  return { topic, broker, queue };
}

/** Kafka's shape has no broker: it is the one that has this queue, or any of the topic, if that is only one. */
function onlyBroker(topic: string, queue: number, stored: readonly StoredOffset[], at: string): string {
  const ofTopic = stored.flatMap((offset) => (offset.queue?.topic === topic ? [offset.queue] : []));
  const ofQueue = ofTopic.filter((ref) => ref.queue === queue);
  const brokers = [...new Set((ofQueue.length > 0 ? ofQueue : ofTopic).map((ref) => ref.broker))].sort();
  if (brokers.length > 1)
    throw wrong(`${at}.rocketmq_broker`, `queues of ${topic} are on several brokers (${brokers.join(', ')}): name one`);
  return brokers[0] ?? 'embedded';
}

/** A whole number from 0 on, also written as text as Kafka Connect allows; null for anything else. */
function integer(value: unknown): number | null {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null;
}

function isNull(json: string): boolean {
  return json === '' || json.trim() === 'null';
}

function wrong(field: string, message: string): ConfigError {
  return new ConfigError(message, { code: 'OFFSETS_INVALID', field, remedy: 'GET the offsets of the connector to see their shape' });
}
