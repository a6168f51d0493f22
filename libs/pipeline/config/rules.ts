import type { LogCapabilities } from '@rocketmq-connect/message-log';
import { isTopicName } from '@rocketmq-connect/message-log/checks';
import type { AnyConnector } from '@rocketmq-connect/sdk';
import { tagsOf } from '../sink/tag-filter.ts';
import { BEGINNINGS, beginningOf } from './beginning.ts';
import { type FieldProblem, invalid } from './convert.ts';
import { fieldsOf } from './definition.ts';
import { wholeMatch } from './pattern.ts';
import { topicGroupProblems } from './topic-creation.ts';
import { listOf } from './values.ts';

type Config = Readonly<Record<string, string>>;

/** What the pipeline asks of several keys together. `config` has its references resolved where they can be. */
export function pipelineRules(definition: AnyConnector, config: Config, log: LogCapabilities): readonly FieldProblem[] {
  const ofKind =
    definition.kind === 'sink'
      ? [...topicProblems(config, log), ...deadLetterProblems(config), ...beginningProblems(config)]
      : exactlyOnceProblems(definition, config, log);
  return [
    ...topicNameProblems(definition, config, log),
    ...tagProblems(definition, config),
    ...topicGroupProblems(config),
    ...delayProblems(definition, config, log),
    ...isolationProblems(config, log),
    ...ofKind,
  ];
}

/** What is allowed and probably not meant. */
export function pipelineWarnings(definition: AnyConnector, config: Config, log: LogCapabilities): readonly string[] {
  return [...deadLetterWarnings(config), ...(definition.kind === 'sink' && !log.assign ? [BEGINNING] : [])];
}

const BEGINNING =
  'consumer.auto.offset.reset and position.out.of.range have no effect with this message log, which keeps the positions of sinks: where a new ' +
  'consumer group begins is up to the broker (mqadmin resetOffsetByTime sets it).';

function deadLetterWarnings(config: Config): readonly string[] {
  const deadLetterTopic = config['errors.deadletterqueue.topic.name']?.trim() ?? '';
  if (deadLetterTopic === '' || config['errors.tolerance']?.trim() === 'all') return [];
  return ["errors.deadletterqueue.topic.name has no effect without errors.tolerance 'all': the task fails at the first bad record."];
}

/** Without it a sink of a topic that cannot exist would wait for it for ever, and a source fail at its first record. */
function topicNameProblems({ kind, config: own }: AnyConnector, config: Config, log: LogCapabilities): readonly FieldProblem[] {
  // A transform may rename them.
  const sentTo =
    kind === 'source' && !isSet(config['transforms']) ? fieldsOf(own).flatMap(([key, { topic }]) => (topic === true ? [key] : [])) : [];
  const fields = [...(kind === 'sink' ? ['topics'] : []), ...sentTo, 'errors.deadletterqueue.topic.name'];
  const isName = (topic: string): boolean => isTopicName(topic) && (log.dottedTopics || !topic.includes('.'));
  const what = log.dottedTopics
    ? 'A topic has 1 to 127 of the characters A-Z a-z 0-9 _ % | . -'
    : 'A topic of RocketMQ has 1 to 127 of the characters A-Z a-z 0-9 _ % | -';
  return fields.flatMap((field) => {
    const names = field === 'topics' ? listOf(config[field]) : [config[field]?.trim() ?? ''];
    const wrong = names.find((topic) => topic !== '' && !isName(topic) && !topic.includes('${'));
    return wrong === undefined ? [] : [{ field, message: invalid(field, wrong, what) }];
  });
}

function beginningProblems(config: Config): readonly FieldProblem[] {
  const field = 'consumer.auto.offset.reset';
  const text = config[field]?.trim() ?? 'earliest';
  return beginningOf(text) === null && !text.includes('${') ? [{ field, message: invalid(field, text, BEGINNINGS) }] : [];
}

/** No consumer could name such a tag. */
function tagProblems({ kind }: AnyConnector, config: Config): readonly FieldProblem[] {
  const field = kind === 'source' ? 'rocketmq.tags' : 'rocketmq.tag.expression';
  const text = config[field]?.trim() ?? '';
  const isTag = (tag: string): boolean => /^[^|*\p{Cc}]+$/u.test(tag);
  if (text === '' || (kind === 'source' ? isTag(text) : text === '*' || tagsOf(text).every(isTag))) return [];
  const what = kind === 'source' ? 'A message has one tag, without | and *' : "Must be * or tags separated by ||, such as 'a || b'";
  return [{ field, message: invalid(field, text, what) }];
}

function topicProblems(config: Config, log: LogCapabilities): readonly FieldProblem[] {
  const hasTopics = isSet(config['topics']);
  const hasRegex = isSet(config['topics.regex']);
  if (hasRegex && !log.createTopic) {
    return [{ field: 'topics.regex', message: 'topics.regex cannot be used: this message log lists no topics. Name them in topics.' }];
  }
  if (hasTopics !== hasRegex) return [];
  const message = hasTopics
    ? 'topics and topics.regex are mutually exclusive options, but both are set.'
    : 'Must configure one of topics or topics.regex';
  return [
    { field: 'topics', message },
    { field: 'topics.regex', message },
  ];
}

// A sink that reads its own dead letters goes round for ever.
function deadLetterProblems(config: Config): readonly FieldProblem[] {
  const field = 'errors.deadletterqueue.topic.name';
  const deadLetterTopic = config[field]?.trim() ?? '';
  if (deadLetterTopic === '') return [];
  if (listOf(config['topics']).includes(deadLetterTopic)) {
    const message = `The DLQ topic '${deadLetterTopic}' may not be one of the topics that the connector consumes ("topics=${config['topics']}").`;
    return [{ field, message }];
  }
  const regex = config['topics.regex']?.trim() ?? '';
  if (regex === '' || !matchesWhole(regex, deadLetterTopic)) return [];
  const message = `The DLQ topic '${deadLetterTopic}' may not match the topics that the connector consumes ("topics.regex=${regex}").`;
  return [{ field, message }];
}

function matchesWhole(regex: string, topic: string): boolean {
  try {
    return wholeMatch(regex)(topic);
  } catch {
    // What is no regular expression has an error of its own.
    return false;
  }
}

function exactlyOnceProblems(definition: AnyConnector, config: Config, log: LogCapabilities): readonly FieldProblem[] {
  const field = 'exactly.once.support';
  if (config[field]?.trim() !== 'required' || definition.kind !== 'source') return [];
  if (config['exactly.once']?.trim() === 'off') {
    return [{ field, message: "exactly.once.support is 'required', but exactly.once is 'off'." }];
  }
  if (!log.assign) {
    const message =
      "exactly.once.support is 'required', but this message log has no positions, by which what was sent before an unclean end is found.";
    return [{ field, message }];
  }
  if (isDelayed(config)) {
    return [
      { field, message: `exactly.once.support is 'required', but rocketmq.delay.ms is set: delayed messages are sent at least once.` },
    ];
  }
  if (config['send.durability']?.trim() === 'strict') {
    const why = 'which sends again what a broker has stored but not made safe';
    return [{ field, message: `exactly.once.support is 'required', but send.durability is 'strict', ${why}.` }];
  }
  if (definition.deterministic === true) return [];
  const why = `the records of ${definition.name} are not repeatable, so that what was sent before an unclean end may be sent again`;
  return [{ field, message: `exactly.once.support is 'required', but ${why}.` }];
}

function isolationProblems(config: Config, log: LogCapabilities): readonly FieldProblem[] {
  if (log.processes || config['tasks.isolation']?.trim() !== 'process') return [];
  const message =
    'tasks.isolation cannot be process: processes cannot share this message log. Use thread, or connect to a RocketMQ cluster.';
  return [{ field: 'tasks.isolation', message }];
}

function delayProblems({ kind }: AnyConnector, config: Config, log: LogCapabilities): readonly FieldProblem[] {
  if (kind !== 'source' || log.delay || !isDelayed(config)) return [];
  const message = 'rocketmq.delay.ms cannot be used: this message log delivers at once. Connect to a RocketMQ cluster, or leave it out.';
  return [{ field: 'rocketmq.delay.ms', message }];
}

function isDelayed(config: Config): boolean {
  return Number(config['rocketmq.delay.ms'] ?? 0) > 0;
}

function isSet(text: string | undefined): boolean {
  return text !== undefined && text.trim() !== '';
}
