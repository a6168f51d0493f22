import { Type } from '@rocketmq-connect/sdk';

const ROCKETMQ = 'RocketMQ';

/** What of RocketMQ's own a source can give its messages. */
export const RocketmqSourceKeys = {
  'rocketmq.tags': Type.String({
    default: '',
    title: 'Tag',
    description: 'Tag of the messages, by which consumers can filter. A header TAGS of a record counts for more.',
    importance: 'medium',
    group: ROCKETMQ,
    order: 1,
    width: 'medium',
  }),
  'rocketmq.message.group': Type.Union([Type.Literal('none'), Type.Literal('key')], {
    default: 'none',
    title: 'Message group',
    description:
      "'key': the key of a record is its message group (__SHARDINGKEY) as well, for FIFO topics and their consumers. A header __SHARDINGKEY counts for more.",
    importance: 'low',
    group: ROCKETMQ,
    order: 2,
    width: 'short',
  }),
  'rocketmq.delay.ms': Type.Integer({
    minimum: 0,
    default: 0,
    configType: 'LONG',
    title: 'Delay',
    description:
      'Milliseconds after which a message gets into its queue, counted from when the broker has it. A header rocketmq.delay.ms counts for more. RocketMQ 4 has 18 delays up to 2 hours: the next longer one is taken. Delayed messages are sent one by one, and at least once.',
    importance: 'low',
    group: ROCKETMQ,
    order: 3,
    width: 'medium',
  }),
  'send.durability': Type.Union([Type.Literal('stored'), Type.Literal('strict')], {
    default: 'stored',
    title: 'Durability of sends',
    description:
      "What a broker's answers 'flush to disk timed out', 'flush to slave timed out' and 'slave not available' count for: 'stored' as sent, with a warning; 'strict' as not sent: the batch is sent, and stored, again until it is safe.",
    importance: 'medium',
    group: ROCKETMQ,
    order: 4,
    width: 'short',
  }),
};

/** What of RocketMQ's own a sink can ask for. */
export const RocketmqSinkKeys = {
  'rocketmq.tag.expression': Type.String({
    default: '*',
    title: 'Tag expression',
    description: "Tags of the messages that the sink gets, as RocketMQ's consumers write them: 'a || b', or '*' for all messages.",
    importance: 'medium',
    group: ROCKETMQ,
    order: 1,
    width: 'medium',
  }),
};
