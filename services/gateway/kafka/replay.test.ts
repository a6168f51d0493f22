import assert from 'node:assert/strict';
import { fakeConfigService } from '../../../test/support/fake-config-service.ts';
import { gatewayBefore } from '../../../test/support/gateway.ts';

const source = { 'connector.class': 'FileStreamSource', 'tasks.max': '1', file: '/data/in.txt', topic: 't' };
const sink = {
  'connector.class': 'org.apache.kafka.connect.file.FileStreamSinkConnector',
  'tasks.max': '2',
  file: '/data/out',
  topics: 't',
};
const running = { state: 'RUNNING', worker_id: 'runner-1', version: '0.1.0' };
const info = (name: string, config: object, tasks: number, type: string) => ({
  name,
  config: { ...config, name },
  tasks: [...Array(tasks).keys()].map((task) => ({ connector: name, task })),
  type,
});
const position = (at: number) => ({ offsets: [{ partition: { filename: '/data/in.txt' }, offset: { position: at } }] });
const invalid = (...errors: string[]) =>
  `Connector configuration is invalid and contains the following ${errors.length} error(s):\n${errors.join('\n')}`;

interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
  /** The whole body of a success. */
  readonly answer?: unknown;
  /** The beginning of the message of a refusal. */
  readonly message?: string;
  readonly field?: string;
  readonly location?: string;
  readonly allow?: string;
  /** What happens in the mesh before. */
  readonly before?: (connectors: ReturnType<typeof fakeConfigService>['connectors']) => void;
}

/**
 * One scenario, in its order: what a distributed worker of Kafka Connect 4.3 was seen to answer to these requests. Where it answers 500 to
 * a bad request, the 4xx that fits stands here; where its Location is a broken link, ours works.
 */
const exchanges: readonly Exchange[] = [
  {
    method: 'GET',
    path: '/',
    status: 200,
    answer: { version: '0.1.0', commit: 'unknown', kafka_cluster_id: 'default' },
  },
  { method: 'HEAD', path: '/', status: 200 },
  {
    method: 'GET',
    path: '/health',
    status: 200,
    answer: { status: 'healthy', message: 'Worker has completed startup and is ready to handle requests.' },
  },
  { method: 'GET', path: '/connectors', status: 200, answer: [] },
  { method: 'GET', path: '/connectors?expand=info&expand=status', status: 200, answer: {} },
  ...['/connector-plugins', '/connector-plugins/'].map((path) => ({
    method: 'GET',
    path,
    status: 200,
    answer: [
      { class: 'org.apache.kafka.connect.file.FileStreamSinkConnector', type: 'sink', version: '0.1.0' },
      { class: 'org.apache.kafka.connect.file.FileStreamSourceConnector', type: 'source', version: '0.1.0' },
    ],
  })),
  ...['FileStreamSource', 'org.apache.kafka.connect.file.FileStreamSourceConnector'].map((plugin) => ({
    method: 'GET',
    path: `/connector-plugins/${plugin}/config`,
    status: 200,
    answer: [
      { ...definition('file', false), group: null, order_in_group: -1 },
      { ...definition('topic', true), group: 'Common', order_in_group: 1 },
    ],
  })),
  { method: 'GET', path: '/connector-plugins/FileStreamSource/config?version=0.1.0', status: 200 },
  {
    method: 'GET',
    path: '/connector-plugins/FileStreamSource/config?version=9.9.9',
    status: 400,
    message: 'Plugin FileStreamSource not found that matches the version range [9.9.9,9.9.9], available versions: [0.1.0]',
  },
  {
    method: 'PUT',
    path: '/connector-plugins/FileStreamSource/config/validate',
    body: { name: 'v1', ...source },
    status: 200,
    answer: validation('FileStreamSource', { file: '/data/in.txt', topic: 't' }, []),
  },
  {
    method: 'PUT',
    path: '/connector-plugins/FileStreamSource/config/validate',
    body: { name: 'v1', 'connector.class': 'FileStreamSource', 'tasks.max': 1 },
    status: 200,
    answer: validation('FileStreamSource', { file: null, topic: null }, [
      'Missing required configuration "topic" which has no default value.',
    ]),
  },
  {
    method: 'PUT',
    path: '/connector-plugins/FileStreamSource/config/validate',
    body: { name: 'v4', topic: 'x' },
    status: 400,
    message: 'Connector config {',
    field: 'connector.class',
  },
  {
    method: 'POST',
    path: '/connectors',
    body: { name: 'src', config: source },
    status: 201,
    answer: info('src', source, 0, 'source'),
    location: 'http://localhost:80/connectors/src',
  },
  { method: 'POST', path: '/connectors', body: { name: 'src', config: source }, status: 409, message: 'Connector src already exists' },
  {
    method: 'POST',
    path: '/connectors',
    body: { name: 'bad', config: { 'connector.class': 'FileStreamSource', 'tasks.max': '0' } },
    status: 400,
    message: invalid(
      'Invalid value 0 for configuration tasks.max: Value must be at least 1',
      'Missing required configuration "topic" which has no default value.',
    ),
  },
  {
    method: 'POST',
    path: '/connectors',
    body: { name: 'bad', config: { 'connector.class': 'NoSuchConnector' } },
    status: 400,
    message: 'Failed to find any class that implements Connector and which name matches NoSuchConnector',
  },
  {
    method: 'POST',
    path: '/connectors',
    body: { name: 'bad', config: { topic: 't' } },
    status: 400,
    message: 'Connector config {name=bad} contains no connector type',
  },
  {
    method: 'POST',
    path: '/connectors',
    body: { name: 'bad', config: { ...source, name: 'other' } },
    status: 400,
    message: "Connector name configuration (other) doesn't match connector name in the URL (bad)",
    field: 'name',
  },
  { method: 'POST', path: '/connectors', body: { name: 'bad' }, status: 400, message: 'config is missing' },
  { method: 'POST', path: '/connectors', body: { config: source }, status: 400, message: 'name is missing', field: 'name' },
  {
    method: 'POST',
    path: '/connectors',
    body: { name: '', config: source },
    status: 400,
    message: invalid('Invalid value  for configuration name: String may not be empty'),
  },
  {
    method: 'POST',
    path: '/connectors',
    body: '{bad',
    status: 400,
    message: 'the body is not valid JSON: unexpected "b", a key in double quotes expected, at line 1, column 2',
  },
  { method: 'POST', path: '/connectors', body: '{"name": "a",', status: 400, message: 'the body is not valid JSON' },
  { method: 'POST', path: '/connectors', body: '', status: 400, message: 'the body is missing' },
  { method: 'POST', path: '/connectors', body: '[1]', status: 400, message: 'the body must be a JSON object' },
  {
    method: 'POST',
    path: '/connectors',
    body: { name: 'bad', config: source, foo: 1 },
    status: 400,
    message: 'Unrecognized field "foo"',
    field: 'foo',
  },
  {
    method: 'POST',
    path: '/connectors',
    body: { name: 'bad', config: { ...source, x: null } },
    status: 400,
    message: invalid('Null value can not be supplied as the configuration value.'),
    field: 'config.x',
  },
  {
    method: 'POST',
    path: '/connectors',
    body: { name: 'bad', config: { ...source, x: ['a'] } },
    status: 400,
    message: 'config.x must be a string',
    field: 'config.x',
  },
  { method: 'POST', path: '/connectors', body: { name: 'stopped', config: source, initial_state: 'STOPPED' }, status: 201 },
  { method: 'GET', path: '/connectors/stopped/status', status: 200, answer: status('stopped', 'STOPPED', []) },
  { method: 'POST', path: '/connectors', body: { name: 'paused', config: source, initial_state: 'paused' }, status: 201 },
  { method: 'GET', path: '/connectors/paused/status', status: 200, answer: status('paused', 'PAUSED', []) },
  {
    method: 'POST',
    path: '/connectors',
    body: { name: 'x', config: source, initial_state: 'FOO' },
    status: 400,
    message: 'initial_state must be RUNNING, PAUSED or STOPPED, not "FOO"',
    field: 'initial_state',
  },
  {
    method: 'POST',
    path: '/connectors',
    body: { name: ' trim ', config: source },
    status: 201,
    answer: info('trim', source, 0, 'source'),
    location: 'http://localhost:80/connectors/trim',
  },
  {
    method: 'POST',
    path: '/connectors',
    body: { name: 'sl/a sh%', config: source },
    status: 201,
    answer: info('sl/a sh%', source, 0, 'source'),
    location: 'http://localhost:80/connectors/sl%2Fa%20sh%25',
  },
  { method: 'GET', path: '/connectors/sl%2Fa%20sh%25', status: 200, answer: info('sl/a sh%', source, 0, 'source') },
  { method: 'GET', path: '/connectors/sl%2Fa%20sh%25/status', status: 200, answer: status('sl/a sh%', 'RUNNING', []) },
  { method: 'DELETE', path: '/connectors/sl%2Fa%20sh%25', status: 204 },
  { method: 'DELETE', path: '/connectors/trim', status: 204 },
  { method: 'DELETE', path: '/connectors/paused', status: 204 },
  { method: 'DELETE', path: '/connectors/stopped', status: 204 },
  { method: 'POST', path: '/connectors', body: { name: 'snk', config: sink }, status: 201, answer: info('snk', sink, 0, 'sink') },
  {
    method: 'GET',
    path: '/connectors',
    status: 200,
    answer: ['src', 'snk'],
    before: (connectors) => {
      connectors.get('src')?.tasks.push('');
      connectors.get('snk')?.tasks.push('', '');
      connectors.get('src')?.offsets.push({ partitionJson: '{"filename":"/data/in.txt"}', offsetJson: '{"position":80}' });
    },
  },
  { method: 'GET', path: '/connectors/', status: 200, answer: ['src', 'snk'] },
  {
    method: 'GET',
    path: '/connectors?expand=info',
    status: 200,
    answer: { src: { info: info('src', source, 1, 'source') }, snk: { info: info('snk', sink, 2, 'sink') } },
  },
  {
    method: 'GET',
    path: '/connectors?expand=info&expand=status',
    status: 200,
    answer: {
      src: { info: info('src', source, 1, 'source'), status: status('src', 'RUNNING', [0]) },
      snk: { info: info('snk', sink, 2, 'sink'), status: { ...status('snk', 'RUNNING', [0, 1]), type: 'sink' } },
    },
  },
  { method: 'GET', path: '/connectors?expand=bogus', status: 200, answer: { src: {}, snk: {} } },
  { method: 'GET', path: '/connectors/snk', status: 200, answer: info('snk', sink, 2, 'sink') },
  { method: 'GET', path: '/connectors/nope', status: 404, message: 'Connector nope not found' },
  { method: 'GET', path: '/connectors/src/config', status: 200, answer: { ...source, name: 'src' } },
  { method: 'GET', path: '/connectors/nope/status', status: 404, message: 'No status found for connector nope' },
  {
    method: 'GET',
    path: '/connectors/snk/tasks',
    status: 200,
    answer: [0, 1].map((task) => ({ id: { connector: 'snk', task }, config: sink })),
  },
  { method: 'GET', path: '/connectors/nope/tasks', status: 404, message: 'Connector nope not found' },
  { method: 'GET', path: '/connectors/snk/tasks/0/status', status: 200, answer: { id: 0, ...running } },
  { method: 'GET', path: '/connectors/src/tasks/9/status', status: 404, message: 'No status found for task src-9' },
  { method: 'GET', path: '/connectors/nope/tasks/9/status', status: 404, message: 'No status found for task nope-9' },
  { method: 'GET', path: '/connectors/nope/tasks/x/status', status: 404, message: 'HTTP 404 Not Found' },
  { method: 'GET', path: '/connectors/src/tasks-config', status: 404, message: 'HTTP 404 Not Found' },
  { method: 'GET', path: '/connectors/src/offsets', status: 200, answer: position(80) },
  { method: 'GET', path: '/connectors/nope/offsets', status: 404, message: 'Connector nope not found' },
  {
    method: 'GET',
    path: '/connectors/snk/topics',
    status: 200,
    answer: { snk: { topics: ['gold-t'] } },
    before: (connectors) => {
      const sink = connectors.get('snk');
      if (sink !== undefined) sink.topics = ['gold-t'];
    },
  },
  { method: 'GET', path: '/connectors/nope/topics', status: 200, answer: { nope: { topics: [] } } },
  { method: 'PUT', path: '/connectors/snk/topics/reset', status: 202 },
  { method: 'GET', path: '/connectors/snk/topics', status: 200, answer: { snk: { topics: [] } } },
  { method: 'PUT', path: '/connectors/put/config', body: source, status: 201, location: 'http://localhost:80/connectors/put' },
  {
    method: 'PUT',
    path: '/connectors/put/config',
    body: { ...source, topic: 't2' },
    status: 200,
    answer: info('put', { ...source, topic: 't2' }, 0, 'source'),
  },
  {
    method: 'PUT',
    path: '/connectors/put/config',
    body: { ...source, name: 'zz' },
    status: 400,
    message: "Connector name configuration (zz) doesn't match connector name in the URL (put)",
  },
  {
    method: 'PUT',
    path: '/connectors/put/config',
    body: {},
    status: 400,
    message: 'Connector config {name=put} contains no connector type',
  },
  { method: 'PUT', path: '/connectors/put/config', body: sink, status: 200, answer: info('put', sink, 0, 'sink') },
  {
    method: 'PATCH',
    path: '/connectors/put/config',
    body: { 'batch.size': 500, 'tasks.max': '1' },
    status: 200,
    answer: info('put', { ...sink, 'tasks.max': '1', 'batch.size': '500' }, 0, 'sink'),
  },
  {
    method: 'PATCH',
    path: '/connectors/put/config',
    body: { 'batch.size': null },
    status: 200,
    answer: info('put', { ...sink, 'tasks.max': '1' }, 0, 'sink'),
  },
  { method: 'PATCH', path: '/connectors/nope/config', body: { a: 'b' }, status: 404, message: 'Connector nope not found' },
  { method: 'PUT', path: '/connectors/src/pause', status: 202 },
  { method: 'GET', path: '/connectors/src/status', status: 200, answer: status('src', 'PAUSED', [0]) },
  { method: 'PUT', path: '/connectors/src/pause', status: 202 },
  { method: 'PUT', path: '/connectors/src/resume', status: 202 },
  { method: 'PUT', path: '/connectors/nope/resume', status: 404, message: 'Unknown connector nope' },
  { method: 'PUT', path: '/connectors/nope/stop', status: 404, message: 'Unknown connector nope' },
  {
    method: 'POST',
    path: '/connectors/src/restart?includeTasks=true&onlyFailed=false',
    status: 202,
    answer: status('src', 'RUNNING', [0]),
  },
  { method: 'POST', path: '/connectors/src/restart?onlyFailed=true', status: 202, answer: status('src', 'RUNNING', [0]) },
  { method: 'POST', path: '/connectors/src/restart', status: 204 },
  { method: 'POST', path: '/connectors/nope/restart', status: 404, message: 'Unknown connector: nope' },
  { method: 'POST', path: '/connectors/src/restart?onlyFailed=maybe', status: 400, message: 'onlyFailed must be', field: 'onlyFailed' },
  { method: 'POST', path: '/connectors/src/tasks/0/restart', status: 204 },
  { method: 'POST', path: '/connectors/nope/tasks/0/restart', status: 404, message: 'Unknown connector: nope' },
  {
    method: 'DELETE',
    path: '/connectors/src/offsets',
    status: 400,
    message: 'Connectors must be in the STOPPED state before their offsets can be modified.',
  },
  { method: 'PATCH', path: '/connectors/nope/offsets', body: position(20), status: 404, message: 'Connector nope not found' },
  { method: 'PUT', path: '/connectors/src/stop', status: 204 },
  { method: 'GET', path: '/connectors/src/status', status: 200, answer: status('src', 'STOPPED', []) },
  { method: 'POST', path: '/connectors/src/restart', status: 204 },
  { method: 'POST', path: '/connectors/src/tasks/0/restart', status: 409 },
  {
    method: 'PATCH',
    path: '/connectors/src/offsets',
    body: position(20),
    status: 200,
    answer: { message: 'The offsets for this connector have been altered successfully' },
  },
  { method: 'GET', path: '/connectors/src/offsets', status: 200, answer: position(20) },
  { method: 'PATCH', path: '/connectors/src/offsets', body: { foo: [] }, status: 400, message: 'Unrecognized field "foo"' },
  {
    method: 'PATCH',
    path: '/connectors/src/offsets',
    body: { offsets: [] },
    status: 400,
    message: 'Partitions / offsets need to be provided for an alter offsets request',
  },
  {
    method: 'PATCH',
    path: '/connectors/src/offsets',
    body: { offsets: [{ partition: 'x', offset: null }] },
    status: 400,
    message: 'offsets[0].partition must be a JSON object',
    field: 'offsets[0].partition',
  },
  {
    method: 'PATCH',
    path: '/connectors/src/offsets',
    body: { offsets: [{ partition: {} }] },
    status: 400,
    message: 'offsets[0].offset is missing',
    field: 'offsets[0].offset',
  },
  {
    method: 'DELETE',
    path: '/connectors/src/offsets',
    status: 200,
    answer: { message: 'The offsets for this connector have been reset successfully' },
  },
  {
    method: 'GET',
    path: '/connectors/snk/status',
    status: 200,
    answer: {
      name: 'snk',
      connector: running,
      tasks: [
        { id: 0, state: 'FAILED', worker_id: 'runner-1', version: null, trace: 'no such folder' },
        { id: 1, ...running },
      ],
      type: 'sink',
    },
    before: (connectors) => {
      connectors.get('snk')?.tasks.splice(0, 1, 'no such folder');
    },
  },
  { method: 'GET', path: '/nope', status: 404, message: 'HTTP 404 Not Found' },
  { method: 'GET', path: '/connectors/src/nope', status: 404, message: 'HTTP 404 Not Found' },
  { method: 'DELETE', path: '/connectors', status: 405, message: 'HTTP 405 Method Not Allowed', allow: 'HEAD,GET,POST,OPTIONS' },
  { method: 'PUT', path: '/connectors', body: {}, status: 405, message: 'HTTP 405 Method Not Allowed' },
  { method: 'POST', path: '/connectors/src', body: {}, status: 405, message: 'HTTP 405 Method Not Allowed' },
  { method: 'OPTIONS', path: '/connectors', status: 200, allow: 'HEAD,GET,POST,OPTIONS' },
  { method: 'GET', path: '/connectors', headers: { accept: 'application/xml' }, status: 406, message: 'HTTP 406 Not Acceptable' },
  { method: 'GET', path: '/connectors', headers: { accept: 'text/html, */*;q=0.1' }, status: 200 },
  { method: 'DELETE', path: '/connectors/put', status: 204 },
  { method: 'DELETE', path: '/connectors/nope', status: 404, message: 'Connector nope not found' },
  { method: 'GET', path: '/connectors/put', status: 404, message: 'Connector put not found' },
  { method: 'GET', path: '/connectors/put/status', status: 404, message: 'No status found for connector put' },
];

describe('the gateway answers as Kafka Connect 4.3 was seen to', () => {
  const service = fakeConfigService();
  let gateway: Awaited<ReturnType<typeof gatewayBefore>>;
  before(async () => {
    gateway = await gatewayBefore(service.implementations);
  });
  after(() => gateway.close());

  for (const exchange of exchanges) {
    const { method, path, status: expected } = exchange;
    const shown = exchange.body === undefined ? '' : ` ${JSON.stringify(exchange.body).slice(0, 60)}`;
    it(`${method} ${path}${shown} → ${expected}`, async () => {
      exchange.before?.(service.connectors);
      const reply = await gateway.request(method, path, {
        ...(exchange.body === undefined ? {} : { body: exchange.body }),
        ...(exchange.headers === undefined ? {} : { headers: exchange.headers }),
      });
      assert.equal(reply.status, expected, reply.text);
      if (reply.status >= 400) {
        const { error_code, message, field } = reply.json as { error_code: number; message: string; field?: string };
        assert.equal(error_code, expected);
        assert.ok(message.startsWith(exchange.message ?? ''), message);
        if (exchange.field !== undefined) assert.equal(field, exchange.field);
      } else if (exchange.answer === undefined && expected !== 201 && expected !== 200) assert.equal(reply.text, '');
      if (exchange.answer !== undefined) assert.deepEqual(reply.json, exchange.answer);
      if (exchange.location !== undefined) assert.equal(reply.headers['location'], exchange.location);
      if (exchange.allow !== undefined) assert.equal(reply.headers['allow'], exchange.allow);
      if (reply.text !== '') assert.equal(reply.headers['content-type'], 'application/json');
    });
  }
});

function status(name: string, state: string, tasks: readonly number[]) {
  const unit = { ...running, state };
  return { name, connector: unit, tasks: tasks.map((id) => ({ id, ...unit })), type: 'source' };
}

function definition(name: string, required: boolean) {
  return {
    name,
    type: 'STRING',
    required,
    default_value: null,
    importance: 'HIGH',
    documentation: `the ${name}`,
    width: 'NONE',
    display_name: name,
    dependents: [],
  };
}

function validation(name: string, values: Readonly<Record<string, string | null>>, topicErrors: readonly string[]) {
  return {
    name,
    error_count: topicErrors.length,
    groups: ['Common'],
    configs: Object.entries(values).map(([key, value]) => ({
      definition: { ...definition(key, key === 'topic'), group: 'Common', order_in_group: 1 },
      value: { name: key, value, recommended_values: [], errors: key === 'topic' ? topicErrors : [], visible: true },
    })),
  };
}
