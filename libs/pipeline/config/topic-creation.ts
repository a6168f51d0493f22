import type { TopicSettings } from '@rocketmq-connect/message-log';
import { type Static, type TObject, Type } from '@rocketmq-connect/sdk';
import { convertConfig, type FieldProblem, invalid } from './convert.ts';
import { wholeMatch } from './pattern.ts';
import { listOf } from './values.ts';

type Config = Readonly<Record<string, string>>;

/** How topics are created that do not exist: by the first group that a topic belongs to (KIP-158). */
export interface TopicCreation {
  readonly enable: boolean;
  readonly groups: readonly TopicGroup[];
  /** Of topics of no group. */
  readonly default: TopicSettings;
}

export interface TopicGroup {
  readonly name: string;
  /** Regular expressions for whole names of topics. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly settings: TopicSettings;
}

/** The group that a topic belongs to, and what it is created with. */
export function topicGroupOf(creation: TopicCreation, topic: string): Pick<TopicGroup, 'name' | 'settings'> {
  const matches = (pattern: string): boolean => wholeMatch(pattern)(topic);
  const group = creation.groups.find(({ include, exclude }) => include.some(matches) && !exclude.some(matches));
  return group ?? { name: DEFAULT_GROUP, settings: creation.default };
}

const GROUP = 'Topic Creation';
const PREFIX = 'topic.creation.';
const DEFAULT_GROUP = 'default';
const DEFAULT_QUEUES = 4;

/** What every group may say, the default one too. */
function settingKeys(place: (order: number) => { readonly group?: string; readonly order?: number } = () => ({})) {
  return {
    'message.type': Type.Optional(
      Type.Union(
        [Type.Literal('NORMAL'), Type.Literal('FIFO'), Type.Literal('DELAY'), Type.Literal('TRANSACTION'), Type.Literal('MIXED')],
        {
          title: 'Message type of created topics',
          description:
            'What the proxy of RocketMQ 5 lets be sent to the topic, and how its consumers may consume it. RocketMQ 4 has no such thing.',
          importance: 'medium',
          width: 'short',
          ...place(4),
        },
      ),
    ),
    attributes: Type.Array(Type.String({ pattern: '^\\+?[a-z]+(\\.[a-z]+)*=[^,=]+$' }), {
      default: [],
      title: 'Attributes of created topics',
      description: "Attributes of RocketMQ 5 as mqadmin takes them, for example '+cleanup.policy=COMPACTION'.",
      importance: 'low',
      width: 'long',
      ...place(5),
    }),
    partitions: Type.Optional(
      Type.Integer({
        minimum: -1,
        maximum: 1024,
        title: 'Partitions of created topics',
        description: "Kafka Connect's name for queues; -1 is the default.",
        importance: 'low',
        width: 'short',
        ...place(6),
      }),
    ),
    'replication.factor': Type.Optional(
      Type.Integer({
        title: 'Replication factor of created topics',
        description: 'Accepted for compatibility; has no effect: replication is a setting of the brokers.',
        importance: 'low',
        width: 'short',
        ...place(7),
      }),
    ),
  };
}

const queues = {
  minimum: 1,
  maximum: 1024,
  title: 'Queues of created topics',
  description: 'Queues per broker of a topic that is created. More queues allow more sends at once and more sink tasks.',
  importance: 'medium',
  width: 'short',
} as const;

const GroupKeys = Type.Object({
  include: Type.Array(Type.String({ format: 'regex', minLength: 1 }), {
    minItems: 1,
    title: 'Inclusion Topic Pattern',
    description: 'Regular expressions (RE2); a topic whose whole name one of them matches belongs to this group.',
    importance: 'high',
    width: 'long',
  }),
  exclude: Type.Array(Type.String({ format: 'regex', minLength: 1 }), {
    default: [],
    title: 'Exclusion Topic Pattern',
    description: 'Regular expressions (RE2) of topics that do not belong to this group although they are included.',
    importance: 'medium',
    width: 'long',
  }),
  queues: Type.Optional(Type.Integer({ ...queues, description: `${queues.description} Default: that of the default group.` })),
  ...settingKeys(),
});

const ofDefault = settingKeys((order) => ({ group: GROUP, order }));

/** The keys that every connector has; those of further groups come with `topic.creation.groups`. Orders are Kafka Connect's. */
export const TopicCreationKeys = {
  'topic.creation.groups': Type.Array(Type.String({ minLength: 1 }), {
    default: [],
    uniqueItems: true,
    title: 'Topic Creation Groups',
    description:
      'Groups of topics with settings of their own: topic.creation.{group}.include, .exclude, .queues, .message.type, .attributes.',
    importance: 'low',
    group: GROUP,
    order: 1,
    width: 'long',
  }),
  'topic.creation.enable': Type.Boolean({
    default: true,
    title: 'Create topics',
    description: 'Whether a topic that does not exist is created before the first record is sent to it (dead-letter topics too).',
    importance: 'medium',
    group: GROUP,
    order: 2,
    width: 'short',
  }),
  'topic.creation.default.queues': Type.Integer({ ...queues, default: DEFAULT_QUEUES, group: GROUP, order: 3 }),
  'topic.creation.default.message.type': ofDefault['message.type'],
  'topic.creation.default.attributes': ofDefault.attributes,
  'topic.creation.default.partitions': ofDefault.partitions,
  'topic.creation.default.replication.factor': ofDefault['replication.factor'],
};

/** The keys of the groups that a configuration names. */
export function topicGroupSections(config: Config): { readonly prefix: string; readonly group: string; readonly schema: TObject }[] {
  return groupNames(config).map((name) => ({ prefix: `${PREFIX}${name}.`, group: `${GROUP}: ${name}`, schema: GroupKeys }));
}

/** What no schema of one key can say. */
export function topicGroupProblems(config: Config): readonly FieldProblem[] {
  if (!groupNames(config).includes(DEFAULT_GROUP)) return [];
  const field = `${PREFIX}groups`;
  return [{ field, message: invalid(field, DEFAULT_GROUP, "The group 'default' is always there, for topics of no other group") }];
}

/** Throws `ConfigError` that names every wrong key of a group. */
export function topicCreation(config: Config, values: Static<TObject<typeof TopicCreationKeys>>): TopicCreation {
  const defaults = topicSettings(
    {
      queues: config['topic.creation.default.queues'] === undefined ? undefined : values['topic.creation.default.queues'],
      'message.type': values['topic.creation.default.message.type'],
      attributes: values['topic.creation.default.attributes'],
      partitions: values['topic.creation.default.partitions'],
    },
    DEFAULT_QUEUES,
  );
  const groups = topicGroupSections(config).map(({ prefix }): TopicGroup => {
    const { include, exclude, ...settings } = convertConfig(GroupKeys, config, prefix);
    return { name: prefix.slice(PREFIX.length, -1), include, exclude, settings: topicSettings(settings, defaults.queues) };
  });
  return {
    enable: values['topic.creation.enable'],
    groups,
    default: defaults,
  };
}

interface GroupValues {
  readonly queues?: number | undefined;
  readonly partitions?: number | undefined;
  readonly 'message.type'?: string | undefined;
  readonly attributes: readonly string[];
}

function topicSettings({ queues, partitions = -1, attributes, ...values }: GroupValues, byDefault: number): TopicSettings {
  const type = values['message.type'];
  const all = Object.fromEntries([
    ...(type === undefined ? [] : [['message.type', type]]),
    ...attributes.map((text) => text.replace(/^\+/, '').split('=')),
  ]) as Record<string, string>;
  const count = queues ?? (partitions > 0 ? partitions : byDefault);
  return Object.keys(all).length === 0 ? { queues: count } : { queues: count, attributes: all };
}

function groupNames(config: Config): readonly string[] {
  return [...new Set(listOf(config[`${PREFIX}groups`]))].filter((name) => name !== '');
}
