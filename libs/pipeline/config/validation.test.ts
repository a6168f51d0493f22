import assert from 'node:assert/strict';
import { ConfigError, defineSink, defineSource, Secret, Type } from '@rocketmq-connect/sdk';
import type { ConfigValidation } from '../host-protocol.ts';
import { createCatalogue } from '../plugins/catalogue.ts';
import { builtInStages } from '../stages/built-in.ts';
import { connectorConfig, describePlugin, validateConnector } from './validation.ts';

const source = defineSource({
  name: 'LinesSource',
  version: '1.2.0',
  aliases: ['org.example.LinesSourceConnector'],
  config: Type.Object({
    file: Type.Optional(Type.String({ description: 'Source filename.', importance: 'high' })),
    topic: Type.String({ importance: 'high', topic: true }),
    'batch.size': Type.Integer({ default: 2000, importance: 'low' }),
    password: Type.Optional(Secret({ group: 'Login', title: 'Password', width: 'short' })),
    user: Type.Optional(Type.String({ group: 'Login' })),
  }),
  validate: ({ user, password }) =>
    user !== undefined && password === undefined ? [{ field: 'password', message: 'user needs a password' }] : [],
  task: () => ({ poll: () => null }),
});
const sink = defineSink({ name: 'LinesSink', version: '1.2.0', config: Type.Object({}), task: () => ({ put: () => undefined }) });
const catalogue = createCatalogue([...builtInStages, source, sink].map((plugin) => ({ plugin, location: 'test' })));

const complete = { name: 'a', 'connector.class': 'LinesSource', topic: 't' };
const completeSink = { name: 'a', 'connector.class': 'LinesSink', topics: 't' };

describe('validateConnector', () => {
  it('S059: accepts a complete configuration', () => {
    const validation = validateConnector(catalogue, 'LinesSource', { ...complete, 'tasks.max': ' 2 ' });
    assert.deepEqual(errorsOf(validation), {});
    assert.equal(validation.errorCount, 0);
    assert.equal(validation.name, 'LinesSource');
    assert.equal(validation.type, 'source');
    assert.equal(validation.version, '1.2.0');
    assert.equal(shownOf(validation, 'tasks.max').value, '2');
    assert.deepEqual(validation.warnings, []);
  });

  it('S057: has all keys, the common ones first, with their groups', () => {
    const validation = validateConnector(catalogue, 'LinesSource', complete);
    const names = validation.values.map((value) => value.definition.name);
    assert.deepEqual(names.slice(0, 4), ['name', 'connector.class', 'connector.plugin.version', 'tasks.max']);
    assert.deepEqual(names.slice(-5), ['file', 'topic', 'batch.size', 'password', 'user']);
    assert.deepEqual(validation.groups, [
      'Common',
      'Transforms',
      'Predicates',
      'Error Handling',
      'Topic Creation',
      'Exactly Once Support',
      'offsets.topic',
      'Throughput',
      'RocketMQ',
      'Placement',
      'Login',
    ]);
    assert.equal(new Set(names).size, names.length);
    assert(
      validation.values.every(
        (value) => value.definition.documentation !== '' || ['topic', 'batch.size', 'password', 'user'].includes(value.definition.name),
      ),
    );
  });

  it('S074: has the keys of the groups of topics to create, and refuses what is wrong with them', () => {
    const grouped = { ...complete, 'topic.creation.groups': 'fifo', 'topic.creation.fifo.include': 'o.*' };
    const validation = validateConnector(catalogue, '', { ...grouped, 'topic.creation.fifo.message.type': 'FIFO' });
    assert.deepEqual(errorsOf(validation), {});
    assert.deepEqual(shownOf(validation, 'topic.creation.fifo.include').definition.group, 'Topic Creation: fifo');
    assert.ok(validation.groups.includes('Topic Creation: fifo'));
    const wrong = { ...grouped, 'topic.creation.fifo.include': '(', 'topic.creation.fifo.attributes': '-message.type' };
    assert.deepEqual(Object.keys(errorsOf(validateConnector(catalogue, '', wrong))), [
      'topic.creation.fifo.include',
      'topic.creation.fifo.attributes',
    ]);
    const named = errorsOf(validateConnector(catalogue, '', { ...complete, 'topic.creation.groups': 'default' }));
    assert.match(named['topic.creation.groups']?.[0] ?? '', /is always there/);
  });

  it('refuses a delay where the message log delivers at once, or where each record must be in it exactly once', () => {
    const delayed = { ...complete, 'rocketmq.delay.ms': '1000' };
    const log = { assign: true, subscribe: false, createTopic: true, delay: false, processes: false, dottedTopics: true };
    assert.deepEqual(errorsOf(validateConnector(catalogue, '', delayed)), {});
    assert.match(errorsOf(validateConnector(catalogue, '', delayed, undefined, log))['rocketmq.delay.ms']?.[0] ?? '', /delivers at once/);
    const required = errorsOf(validateConnector(catalogue, '', { ...delayed, 'exactly.once.support': 'required' }));
    assert.match(required['exactly.once.support']?.[0] ?? '', /delayed messages are sent at least once/);
  });

  it('refuses processes of their own where processes cannot share the message log', () => {
    const isolated = { ...complete, 'tasks.isolation': 'process' };
    const log = { assign: true, subscribe: false, createTopic: true, delay: false, processes: false, dottedTopics: true };
    assert.deepEqual(errorsOf(validateConnector(catalogue, '', isolated)), {});
    assert.match(
      errorsOf(validateConnector(catalogue, '', isolated, undefined, log))['tasks.isolation']?.[0] ?? '',
      /Use thread, or connect/,
    );
  });

  it('refuses references in what runners and schedulers read by themselves', () => {
    for (const key of ['tasks.isolation', 'errors.restart', 'placement.labels']) {
      const errors = errorsOf(
        validateConnector(catalogue, '', { ...complete, [key]: '${env:X}' }, { env: { X: 'all' }, readFile: () => '' }),
      );
      assert.match(errors[key]?.join() ?? '', /where no reference is resolved/, key);
    }
  });

  it('refuses names that no topic can have, of a source unless a transform renames it', () => {
    const rocketmq = { assign: true, subscribe: false, createTopic: true, delay: true, processes: true, dottedTopics: false };
    const wrong = (config: Record<string, string>, log?: typeof rocketmq) =>
      Object.keys(errorsOf(validateConnector(catalogue, '', config, undefined, log)));
    assert.deepEqual(wrong({ ...complete, topic: 'a b' }), ['topic']);
    assert.deepEqual(wrong({ ...complete, topic: 'a,b' }), ['topic']);
    const renamed = { transforms: 'r', 'transforms.r.type': 'RegexRouter', 'transforms.r.regex': ' ', 'transforms.r.replacement': '-' };
    assert.deepEqual(wrong({ ...complete, topic: 'a b', ...renamed }), []);
    assert.deepEqual(wrong({ ...completeSink, topics: 'a,b c' }), ['topics']);
    assert.deepEqual(wrong({ ...complete, topic: 'a.b' }), []);
    assert.deepEqual(wrong({ ...complete, topic: 'a.b' }, rocketmq), ['topic']);
    assert.deepEqual(wrong({ ...completeSink, topics: 'a.b' }, rocketmq), ['topics']);
    assert.deepEqual(wrong({ ...complete, 'errors.deadletterqueue.topic.name': 'a.b', 'errors.tolerance': 'all' }, rocketmq), [
      'errors.deadletterqueue.topic.name',
    ]);
  });

  it('takes as beginning of a sink earliest, latest or a time with its zone, and nothing else', () => {
    const wrong = (beginning: string) =>
      errorsOf(validateConnector(catalogue, '', { ...completeSink, 'consumer.auto.offset.reset': beginning }))[
        'consumer.auto.offset.reset'
      ];
    for (const good of ['earliest', ' latest ', '2026-01-31', '2026-01-31T08:00Z', '2026-01-31T08:00:00.5+02:00'])
      assert.equal(wrong(good), undefined, good);
    for (const bad of ['', 'none', '2026-01-31T08:00', '2026-13-31', '1700000000000'])
      assert.match(wrong(bad)?.[0] ?? '', /a time such as 2026/, bad);
  });

  it('refuses tags that no consumer could ask for, and expressions that are none', () => {
    const source = (tags: string) => errorsOf(validateConnector(catalogue, '', { ...complete, 'rocketmq.tags': tags }));
    const sink = (expression: string) =>
      errorsOf(validateConnector(catalogue, '', { ...completeSink, 'rocketmq.tag.expression': expression }));
    for (const good of ['', 'orders', ' with space ']) assert.deepEqual(source(good), {}, good);
    for (const bad of ['a || b', '*', 'a\x01b']) assert.match(source(bad)['rocketmq.tags']?.[0] ?? '', /one tag, without/, bad);
    for (const good of ['', '*', 'a', 'a||b', ' a || b c ']) assert.deepEqual(sink(good), {}, good);
    for (const bad of ['a ||', '|| a', 'a | b', '* || a', 'a || * ']) {
      assert.match(sink(bad)['rocketmq.tag.expression']?.[0] ?? '', /tags separated by/, bad);
    }
  });

  it('refuses what the message log cannot do, with the reason, and says what has no effect with it', () => {
    const proxy = { assign: false, subscribe: true, createTopic: false, delay: true, processes: true, dottedTopics: true };
    const validate = (config: Record<string, string>) => validateConnector(catalogue, '', config, undefined, proxy);
    const { topics: _, ...noTopics } = completeSink as Record<string, string>;
    assert.match(errorsOf(validate({ ...noTopics, 'topics.regex': 't.*' }))['topics.regex']?.[0] ?? '', /lists no topics/);
    const required = { ...complete, 'exactly.once.support': 'required' };
    assert.match(errorsOf(validate(required))['exactly.once.support']?.[0] ?? '', /no positions/);
    assert.deepEqual(errorsOf(validate(completeSink)), {});
    assert.match(validate(completeSink).warnings.join(), /where a new consumer group begins is up to the broker/);
    assert.deepEqual(validateConnector(catalogue, '', completeSink).warnings, []);
  });

  it("S059: says what is missing or wrong in Kafka Connect's words", () => {
    const validation = validateConnector(catalogue, 'LinesSource', { 'connector.class': 'LinesSource', 'tasks.max': 'x' });
    assert.deepEqual(errorsOf(validation), {
      name: ['Missing required configuration "name" which has no default value.'],
      'tasks.max': [
        'Invalid value x for configuration tasks.max: Not a number of type INT',
        'Invalid value null for configuration tasks.max: Value must be non-null',
      ],
      topic: ['Missing required configuration "topic" which has no default value.'],
    });
    assert.equal(validation.errorCount, 4);
    assert.equal(shownOf(validation, 'tasks.max').value, null);
    assert.deepEqual(errorsOf(validateConnector(catalogue, '', { ...complete, name: '', 'tasks.max': '0' })), {
      name: ['Invalid value  for configuration name: String may not be empty'],
      'tasks.max': ['Invalid value 0 for configuration tasks.max: Value must be at least 1'],
    });
  });

  it("keeps the connector's own rules once its keys are right", () => {
    assert.deepEqual(errorsOf(validateConnector(catalogue, '', { ...complete, user: 'joe' })), { password: ['user needs a password'] });
  });

  it('S059: checks transforms, predicates and converters, and extends the answer by their keys', () => {
    const validation = validateConnector(catalogue, '', {
      ...complete,
      transforms: 'route,nope,hoist',
      'transforms.route.type': 'RegexRouter',
      'transforms.route.regex': '(',
      'transforms.route.predicate': 'missing',
      'transforms.nope.type': 'org.example.Nope',
      'transforms.hoist.type': 'org.apache.kafka.connect.transforms.HoistField$Value',
      'transforms.hoist.field': 'line',
      'transforms.hoist.predicate': 'dead',
      'transforms.hoist.negate': 'true',
      predicates: 'dead',
      'predicates.dead.type': 'RecordIsTombstone',
      'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
      'value.converter.schemas.enable': 'perhaps',
      'key.converter': 'Avro',
    });
    assert.deepEqual(errorsOf(validation), {
      'key.converter': ['Invalid value Avro for configuration key.converter: Class Avro could not be found.'],
      'value.converter.schemas.enable': [
        'Invalid value perhaps for configuration value.converter.schemas.enable: Expected value to be either true or false',
      ],
      'transforms.route.predicate': [
        'Invalid value missing for configuration transforms.route.predicate: Must be one of the aliases in predicates: dead',
      ],
      'transforms.route.regex': [
        'Invalid value ( for configuration transforms.route.regex: Not a regular expression: missing closing ): `(`',
      ],
      'transforms.route.replacement': ['Missing required configuration "transforms.route.replacement" which has no default value.'],
      'transforms.nope.type': [
        'Invalid value org.example.Nope for configuration transforms.nope.type: Class org.example.Nope could not be found.',
      ],
    });
    assert(validation.groups.includes('Transforms: hoist'));
    assert(validation.groups.includes('Predicates: dead'));
    assert.deepEqual(shownOf(validation, 'transforms.hoist.type').definition.displayName, 'Transformation type for hoist');
    assert(shownOf(validation, 'value.converter').recommendedValues.includes('org.apache.kafka.connect.storage.StringConverter'));
    assert.deepEqual(shownOf(validation, 'value.converter.plugin.version').recommendedValues, ['1.0.0']);
  });

  it('refuses a negation of nothing', () => {
    const config = { ...complete, transforms: 'f', 'transforms.f.type': 'Filter', 'transforms.f.negate': 'true' };
    assert.match(errorsOf(validateConnector(catalogue, '', config))['transforms.f.negate']?.[0] ?? '', /no transforms.f.predicate/);
  });

  it('refuses topics that RocketMQ could not have, unless a reference stands for them', () => {
    const names = { topics: 'good,bad topic', 'errors.deadletterqueue.topic.name': 'x'.repeat(128) };
    const errors = errorsOf(validateConnector(catalogue, '', { ...completeSink, ...names }));
    assert.deepEqual(Object.keys(errors).sort(), ['errors.deadletterqueue.topic.name', 'topics']);
    assert.match(errors['topics']?.[0] ?? '', /^Invalid value bad topic for configuration topics: A topic has 1 to 127/);
    assert.deepEqual(errorsOf(validateConnector(catalogue, '', { ...completeSink, topics: '${env:NOT_HERE}' })), {});
  });

  it('S059: wants either topics or topics.regex of a sink', () => {
    const neither = 'Must configure one of topics or topics.regex';
    const both = 'topics and topics.regex are mutually exclusive options, but both are set.';
    assert.deepEqual(errorsOf(validateConnector(catalogue, '', { ...completeSink, topics: '' })), {
      topics: [neither],
      'topics.regex': [neither],
    });
    assert.deepEqual(errorsOf(validateConnector(catalogue, '', { ...completeSink, 'topics.regex': 'a.*' })), {
      topics: [both],
      'topics.regex': [both],
    });
    assert.deepEqual(errorsOf(validateConnector(catalogue, '', completeSink)), {});
  });

  it('S117: refuses a sink that reads its own dead letters', () => {
    const dead = { 'errors.deadletterqueue.topic.name': 't', 'errors.tolerance': 'all' };
    const field = 'errors.deadletterqueue.topic.name';
    assert.match(
      errorsOf(validateConnector(catalogue, '', { ...completeSink, topics: 's,t', ...dead }))[field]?.[0] ?? '',
      /DLQ topic 't'/,
    );
    const byRegex = { name: 'a', 'connector.class': 'LinesSink', ...dead };
    assert.match(errorsOf(validateConnector(catalogue, '', { ...byRegex, 'topics.regex': '[s-u]' }))[field]?.[0] ?? '', /DLQ topic 't'/);
    assert.deepEqual(errorsOf(validateConnector(catalogue, '', { ...byRegex, 'topics.regex': '[s-u]x' })), {});
  });

  it('refuses exactly.once.support=required where records are not repeatable', () => {
    const config = { ...complete, 'exactly.once.support': 'required' };
    assert.match(errorsOf(validateConnector(catalogue, '', config))['exactly.once.support']?.[0] ?? '', /not repeatable/);
  });

  it('warns of keys that look like a known one, and of nothing else', () => {
    const warningsOf = (more: Record<string, string>) => validateConnector(catalogue, '', { ...complete, ...more }).warnings;
    assert.deepEqual(warningsOf({ 'btach.size': '1' }), ['btach.size is not a known configuration; did you mean batch.size?']);
    assert.deepEqual(warningsOf({ 'task.max': '1' }), ['task.max is not a known configuration; did you mean tasks.max?']);
    assert.deepEqual(warningsOf({ 'my.own.key': '1', 'producer.override.acks': 'all' }), []);
    assert.equal(warningsOf({ 'errors.deadletterqueue.topic.name': 'x' }).length, 1);
  });

  it('throws where there is no such connector', () => {
    assert.throws(() => validateConnector(catalogue, '', { name: 'a', topic: 't', 'x.password': 'pw' }), {
      message: 'Connector config {name=a, topic=t, x.password=[hidden]} contains no connector type',
    });
    assert.throws(
      () => validateConnector(catalogue, 'Nope', {}),
      /^ConfigError: Failed to find any class that implements Connector and which name matches Nope, available connectors are: /,
    );
    assert.throws(() => validateConnector(catalogue, '', { ...complete, 'connector.plugin.version': '9.9.9' }), {
      message:
        'Plugin org.example.LinesSourceConnector not found that matches the version range [9.9.9,9.9.9], available versions: [1.2.0]',
    });
  });
});

describe('S144: validateConnector and secrets', () => {
  const sources = { env: { MANY: 'hunter22', PATTERN: '(hunter22', PW: 'hunter22' }, readFile: () => '' };
  const ref = (name: string): string => `$\{env:${name}}`;

  it('checks a reference by its value, and shows only the reference', () => {
    const validation = validateConnector(
      catalogue,
      '',
      { ...completeSink, topics: '', 'tasks.max': ref('MANY'), 'topics.regex': ref('PATTERN') },
      sources,
    );
    assert.match(errorsOf(validation)['tasks.max']?.[0] ?? '', /Invalid value \$\{env:MANY\} for configuration tasks.max/);
    assert.match(errorsOf(validation)['topics.regex']?.[0] ?? '', /Not a regular expression/);
    assert.doesNotMatch(JSON.stringify(validation), /hunter22/);
  });

  it('does not check what cannot be resolved here', () => {
    const config = { ...complete, 'tasks.max': ref('NOPE'), password: ref('NOPE'), user: 'joe', transforms: ref('NOPE') };
    assert.deepEqual(errorsOf(validateConnector(catalogue, '', config)), {});
    const validation = validateConnector(catalogue, '', config, sources);
    assert.deepEqual(errorsOf(validation), {});
    assert.match(validation.warnings[0] ?? '', /tasks.max: the environment variable NOPE is not set/);
    assert.equal(shownOf(validation, 'tasks.max').value, ref('NOPE'));
  });

  it("hides secrets in the words of the connector's own rules", () => {
    const wordy = defineSource({
      ...source,
      name: 'Wordy',
      validate: ({ password }) => [{ field: 'user', message: `${password} is weak` }],
    });
    const wordyCatalogue = createCatalogue([...builtInStages, wordy].map((plugin) => ({ plugin, location: 'test' })));
    for (const password of ['hunter22', ref('PW')]) {
      const validation = validateConnector(wordyCatalogue, 'Wordy', { ...complete, password }, sources);
      assert.deepEqual(errorsOf(validation), { user: ['[hidden] is weak'] });
    }
  });

  it('hides literals of secret keys, and shows references', () => {
    const shown = (password: string) => shownOf(validateConnector(catalogue, '', { ...complete, password }, sources), 'password').value;
    assert.equal(shown('hunter22'), '[hidden]');
    assert.equal(shown(`x${ref('PW')}`), '[hidden]');
    assert.equal(shown(ref('PW')), ref('PW'));
    assert.deepEqual(validateConnector(catalogue, '', { ...complete, 'ssl.key.password': 'x' }).secretKeys, [
      'password',
      'ssl.key.password',
    ]);
  });
});

describe('describePlugin', () => {
  it("S057: lists a connector's own keys, then the common ones", () => {
    const { plugin, keys } = describePlugin(catalogue, 'org.example.LinesSourceConnector');
    assert.deepEqual(plugin, {
      name: 'LinesSource',
      class: 'org.example.LinesSourceConnector',
      kind: 'source',
      version: '1.2.0',
      description: '',
      aliases: ['org.example.LinesSourceConnector'],
      secretKeys: ['password'],
    });
    assert.deepEqual(keys[0], {
      name: 'file',
      type: 'STRING',
      required: false,
      defaultValue: null,
      importance: 'HIGH',
      documentation: 'Source filename.',
      group: '',
      orderInGroup: -1,
      width: 'NONE',
      displayName: 'file',
      dependents: [],
      secret: false,
    });
    assert.deepEqual(
      keys
        .slice(1, 6)
        .map(({ name, type, required, defaultValue, group, orderInGroup }) => [name, type, required, defaultValue, group, orderInGroup]),
      [
        ['topic', 'STRING', true, null, '', -1],
        ['batch.size', 'INT', false, '2000', '', -1],
        ['password', 'PASSWORD', false, null, 'Login', 0],
        ['user', 'STRING', false, null, 'Login', 1],
        ['name', 'STRING', true, null, 'Common', 1],
      ],
    );
    assert.equal(keys.find((key) => key.name === 'connector.plugin.version')?.defaultValue, '1.2.0');
  });

  it('lists only the own keys of a stage', () => {
    assert.deepEqual(
      describePlugin(catalogue, 'TopicNameMatches').keys.map((key) => [key.name, key.required]),
      [['pattern', true]],
    );
  });
});

describe('connectorConfig', () => {
  it('gives the plugin typed values, with defaults', () => {
    const config: { topic: string; 'batch.size': number; file?: string } = connectorConfig(source, { ...complete, unknown: 'x' });
    assert.deepEqual(config, { topic: 't', 'batch.size': 2000 });
  });

  it('names all wrong keys, and hides secrets', () => {
    assert.throws(
      () => connectorConfig(source, { 'batch.size': 'many' }),
      (error: unknown) => {
        assert(error instanceof ConfigError);
        assert.deepEqual(
          error.fields.map(({ field }) => field),
          ['topic', 'batch.size'],
        );
        return true;
      },
    );
    assert.throws(() => connectorConfig(source, { topic: 't', user: 'joe' }), { message: 'user needs a password', field: 'password' });
  });
});

function errorsOf(validation: ConfigValidation): Record<string, readonly string[]> {
  return Object.fromEntries(validation.values.flatMap(({ definition, errors }) => (errors.length > 0 ? [[definition.name, errors]] : [])));
}

function shownOf(validation: ConfigValidation, name: string): ConfigValidation['values'][number] {
  const value = validation.values.find(({ definition }) => definition.name === name);
  assert(value, `${name} is not in the answer`);
  return value;
}
