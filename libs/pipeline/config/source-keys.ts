import { Type } from '@rocketmq-connect/sdk';

const THROUGHPUT = 'Throughput';
const EXACTLY_ONCE = 'Exactly Once Support';

/** Keys of source connectors. Orders are Kafka Connect's wherever it has the key. */
export const SourceKeys = {
  'exactly.once': Type.Union([Type.Literal('auto'), Type.Literal('off')], {
    default: 'auto',
    title: 'Exactly once into the log',
    description:
      "'auto': after an unclean end the log is searched for records that were sent and not committed, where the connector's records are repeatable; they are not sent again. 'off': they may be sent twice.",
    importance: 'medium',
    group: EXACTLY_ONCE,
    order: 1,
    width: 'short',
  }),
  'exactly.once.support': Type.Union([Type.Literal('requested'), Type.Literal('required')], {
    default: 'requested',
    title: 'Exactly once support',
    description:
      "'required': the configuration is refused unless records get into the log exactly once, which needs exactly.once 'auto' and a connector whose records are repeatable.",
    importance: 'medium',
    group: EXACTLY_ONCE,
    order: 2,
    width: 'short',
  }),
  'transaction.boundary': Type.Union([Type.Literal('poll'), Type.Literal('interval'), Type.Literal('connector')], {
    default: 'poll',
    title: 'Transaction Boundary',
    description: 'Accepted for compatibility; has no effect: exactly once needs no transactions here.',
    importance: 'medium',
    group: EXACTLY_ONCE,
    order: 3,
    width: 'short',
  }),
  'transaction.boundary.interval.ms': Type.Optional(
    Type.Integer({
      minimum: 0,
      configType: 'LONG',
      title: 'Transaction boundary interval',
      description: 'Accepted for compatibility; has no effect.',
      importance: 'low',
      group: EXACTLY_ONCE,
      order: 4,
      width: 'short',
    }),
  ),
  'offsets.storage.topic': Type.Optional(
    Type.String({
      minLength: 1,
      title: 'Offsets topic',
      description: 'Accepted for compatibility; has no effect: offsets are stored in the metadata store, never in a topic.',
      importance: 'low',
      group: 'offsets.topic',
      order: 1,
      width: 'long',
    }),
  ),
  'batch.max.bytes': Type.Integer({
    minimum: 1024,
    maximum: 4 * 1024 * 1024,
    default: 512 * 1024,
    title: 'Batch bytes max',
    description: 'Bytes at which a batch for a queue is sent. A broker refuses batches above its maxMessageSize, 4 MiB unless configured.',
    importance: 'medium',
    group: THROUGHPUT,
    order: 2,
    width: 'medium',
  }),
  'batch.max.count': Type.Integer({
    minimum: 1,
    maximum: 65_536,
    default: 4096,
    title: 'Batch records max',
    description: 'Records at which a batch for a queue is sent.',
    importance: 'low',
    group: THROUGHPUT,
    order: 3,
    width: 'short',
  }),
  'batch.linger.ms': Type.Integer({
    minimum: 0,
    maximum: 60_000,
    default: 0,
    title: 'Batch linger',
    description:
      'Milliseconds that a batch which is not full waits for more records when its queue is free. A batch grows in any case while the one before it is out, so 0, the default, costs no throughput under load.',
    importance: 'low',
    group: THROUGHPUT,
    order: 4,
    width: 'short',
  }),
  'send.ordering': Type.Union([Type.Literal('partition'), Type.Literal('none')], {
    default: 'partition',
    title: 'Order of keyless records',
    description:
      "'partition': records without a key keep the order of their source partition, in one queue. 'none': they are spread over all queues. Records with a key are always in order per key.",
    importance: 'medium',
    group: THROUGHPUT,
    order: 5,
    width: 'short',
  }),
};
