import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { FetchedMessages, MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { BatchBuilder } from '@rocketmq-connect/message-log/message';
import { createHostRuntime } from '@rocketmq-connect/pipeline/host/host-runtime';
import type { HostEvent, TaskStart } from '@rocketmq-connect/pipeline/host-protocol';
import { type AnyPlugin, createCatalogue } from '@rocketmq-connect/pipeline/plugins/catalogue';
import { builtInStages } from '@rocketmq-connect/pipeline/stages/built-in';
import { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import { defineSink, defineSource, Schemas, type SourceRecord, Type } from '@rocketmq-connect/sdk';
import type { SamplerSettings } from '@rocketmq-connect/tracing/sampler';
import { tracingSettings } from '@rocketmq-connect/tracing/settings';

/**
 * CPU per record of the source loop and the sink loop, over a log that keeps nothing: what the data path itself costs. The plugin's share, as
 * small as a plugin can be, is in the figures. The goal is ≤ 1.2 µs each with StringConverter and Buffer values of 137 bytes.
 */
const RECORDS = Number(process.argv[2] ?? 3_000_000);
/** Only benchmarks whose name has this. */
const ONLY = process.argv[3] ?? '';
/** Batches are traced: `default`, or as OTEL_TRACES_SAMPLER and its argument say. */
const [SAMPLER = '', SAMPLER_ARGUMENT = ''] = process.argv.slice(4);
const POLL = 2000;
const VALUE = Buffer.from(`${'x'.repeat(136)}\n`);
const PARTITION = { filename: '/var/log/some.log' };
const QUEUES = [0, 1, 2, 3].map((queue): QueueAddress => ({ topic: 't', broker: 'b', queue }));

await bench('source, exactly once, offset {position, file}', (done) => [
  sourceOf((i) => ({ position: i * 137, file: '1234567-89abcdef' }), {}, done),
  { 'exactly.once': 'auto' },
]);
await bench('source, exactly once, offset {position}', (done) => [
  sourceOf((i) => ({ position: i * 137 }), {}, done),
  { 'exactly.once': 'auto' },
]);
await bench('source, exactly once, keyed', (done) => [
  sourceOf((i) => ({ position: i * 137 }), { key: Buffer.from('a key') }, done),
  { 'exactly.once': 'auto', 'key.converter': 'ByteArrayConverter' },
]);
await bench('source, at least once', (done) => [sourceOf((i) => ({ position: i * 137 }), {}, done), { 'exactly.once': 'off' }]);
await bench('sink, records with an id', (done) => [sinkOf(done), {}], 'rmqc.id\x01k3x9abcdefghijklmnop.2n9c\x02');
await bench(
  'sink, records with id, key and header',
  (done) => [sinkOf(done), {}],
  'rmqc.id\x01k3x9abcdefghijklmnop.2n9c\x02KEYS\x01key\x02h\x01v\x02',
);

function sourceOf(offset: (i: number) => SourceRecord['offset'], more: Partial<SourceRecord>, done: () => void): AnyPlugin {
  return defineSource({
    name: 'Bench',
    version: '1',
    config: Type.Object({}),
    deterministic: true,
    task: (_config, context) => {
      let next = 0;
      return {
        poll: async () => {
          if (next >= RECORDS) {
            done();
            await context.sleep(1000);
            return null;
          }
          const records: SourceRecord[] = [];
          for (const end = next + POLL; next < end; next++) {
            records.push({ topic: 't', value: VALUE, valueSchema: Schemas.string, partition: PARTITION, offset: offset(next), ...more });
          }
          return { records };
        },
      };
    },
  });
}

function sinkOf(done: () => void): AnyPlugin {
  let got = 0;
  return defineSink({
    name: 'Bench',
    version: '1',
    config: Type.Object({}),
    textAsBuffer: true,
    task: () => ({
      put: (records) => {
        got += records.length;
        if (got >= RECORDS) done();
      },
    }),
  });
}

async function bench(label: string, make: (done: () => void) => [AnyPlugin, Record<string, string>], properties = ''): Promise<void> {
  if (!label.includes(ONLY)) return;
  let done = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    done = resolve;
  });
  const [plugin, config] = make(done);
  const deadline = new DeadlineWord();
  deadline.set(Number.MAX_SAFE_INTEGER / 1e6);
  const onEvent = (event: HostEvent): void => {
    if (event.type === 'failed') throw new Error(event.error.message);
    if (event.type === 'commitWanted') runtime.handle({ type: 'freeze', unit: 'u', freeze: 1 });
    if (event.type === 'frozen') runtime.handle({ type: 'committed', unit: 'u', freeze: event.freeze });
  };
  const runtime = createHostRuntime({
    log: hollowLog(properties),
    catalogue: createCatalogue([...builtInStages, plugin].map((each) => ({ plugin: each, location: 'bench' }))),
    clock: systemClock,
    random: Math.random,
    deadline,
    sampler: sampler(),
    references: { env: {}, readFile: () => '' },
    post: (event) => setImmediate(() => onEvent(event)),
  });
  const start: TaskStart = {
    connector: 'bench',
    task: 0,
    generation: '1',
    connectorConfig: { 'connector.class': 'Bench', topics: 't', ...config },
    taskConfig: {},
    queues: plugin.kind === 'sink' ? QUEUES : [],
    paused: false,
    hookLimits: { pollMs: 0, putMs: 0, flushMs: 0, stopMs: 0 },
    startTimeMs: 0,
    offsets: [],
    positions: [],
    sinkStates: {},
    uncleanMarks: [],
  };
  const commits = setInterval(() => runtime.handle({ type: 'freeze', unit: 'u', freeze: 2 }), 1000);
  const [cpu, wall] = [process.cpuUsage(), performance.now()];
  runtime.handle({ type: 'startTask', unit: 'u', start });
  await ended;
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - wall) / 1000;
  clearInterval(commits);
  await runtime.close();
  const perRecord = (user + system) / RECORDS;
  process.stdout.write(
    `pipeline ${label}: ${perRecord.toFixed(2)} µs CPU per record, ${Math.round(RECORDS / seconds / 1000)} k records/s, ` +
      `${Math.round(process.memoryUsage().rss / 1e6)} MB\n`,
  );
}

function sampler(): SamplerSettings | null {
  if (SAMPLER === '') return null;
  const env = { OTEL_TRACES_SAMPLER: SAMPLER === 'default' ? '' : SAMPLER, OTEL_TRACES_SAMPLER_ARG: SAMPLER_ARGUMENT };
  return tracingSettings({ OTEL_TRACES_EXPORTER: 'otlp', ...env })?.sampler ?? null;
}

/** Takes everything and keeps nothing; gives the same batch for ever. */
function hollowLog(properties: string): MessageLog {
  const ends = new Map<string, number>();
  const builder = new BatchBuilder();
  for (let i = 0; i < POLL; i++) builder.add(VALUE, properties);
  const batch = builder.take();
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    capabilities: { assign: true, subscribe: false, createTopic: true, delay: false, processes: false, dottedTopics: true },
    describeTopic: async (topic) => ({ topic, queues: QUEUES }),
    createTopic: async (topic) => ({ topic, queues: QUEUES }),
    listTopics: async () => ['t'],
    deleteTopic: async () => undefined,
    send: async (queue, { count }) => {
      await turn();
      const offset = ends.get(String(queue.queue)) ?? 0;
      ends.set(String(queue.queue), offset + count);
      return { offset };
    },
    flush: async () => undefined,
    assign: async () => ({
      read: async () => {
        await turn();
        return QUEUES.map((queue): FetchedMessages => ({ queue, offset: 0, ...batch, layout: 'batch', storedAtMs: 0 }));
      },
      seek: () => undefined,
      lags: () => [],
      close: async () => undefined,
    }),
    subscribe: () => Promise.reject(new Error('a hollow log has positions')),
    minOffset: async () => 0,
    maxOffset: async () => 0,
    offsetAt: async () => 0,
    mirrorPosition: async () => undefined,
    close: async () => undefined,
  };
}
