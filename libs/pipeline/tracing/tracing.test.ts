import assert from 'node:assert/strict';
import { BatchBuilder, encodeProperty, property } from '@rocketmq-connect/message-log/message';
import {
  type ConnectRecord,
  DataError,
  defineSink,
  defineSource,
  defineTransform,
  type SinkRecord,
  type SourceRecord,
  Type,
} from '@rocketmq-connect/sdk';
import { seededRandom } from '@rocketmq-connect/sdk/testing/seeded-random';
import type { SpanData } from '@rocketmq-connect/tracing';
import type { SamplerSettings } from '@rocketmq-connect/tracing/sampler';
import { formatTraceparent } from '@rocketmq-connect/tracing/trace-context';
import { HostWorld } from '../../../test/support/host-world.ts';

const always: SamplerSettings = { root: 'always', ratio: 1, parentBased: true };
const byParentsOnly: SamplerSettings = { root: 'never', ratio: 0, parentBased: true };

const upper = defineTransform({
  name: 'Upper',
  version: '1',
  config: Type.Object({}),
  create: () => ({
    apply: <R extends ConnectRecord>(record: R) => {
      if (record.value === 'bad') throw new DataError('it is bad', { code: 'BAD' });
      return { ...record, value: String(record.value).toUpperCase() };
    },
  }),
});

describe('traces of batches', () => {
  let batches: SourceRecord[][];
  let got: SinkRecord[];
  let world: HostWorld;
  /** Done by the sink in every put. */
  let onPut: (records: readonly SinkRecord[]) => void;

  const script = defineSource({
    name: 'Script',
    version: '1',
    config: Type.Object({}),
    task: (_config, context) => ({
      poll: async () => {
        const records = batches.shift();
        if (records !== undefined) return { records };
        await context.sleep(50);
        return null;
      },
    }),
  });
  const collector = defineSink({
    name: 'Collector',
    version: '1',
    config: Type.Object({}),
    task: (_config, context) => ({
      put: (records) => {
        context.log.info('put');
        onPut(records);
        got.push(...records);
      },
    }),
  });

  beforeEach(() => {
    batches = [];
    got = [];
    onPut = () => undefined;
    world = new HostWorld([script, collector, upper], seededRandom(1));
    world.log.create('t', 2);
  });

  const records = (values: readonly string[], more: Partial<SourceRecord> = {}): SourceRecord[] =>
    values.map((value, i) => ({ topic: 't', value, partition: { file: 'a' }, offset: { position: i + 1 }, ...more }));
  const startSource = (sampler: SamplerSettings | null, more: Record<string, string> = {}): void => {
    world.sampler = sampler;
    world.start({ 'connector.class': 'Script', ...more });
  };
  const startSink = (sampler: SamplerSettings | null, more: Record<string, string> = {}): void => {
    world.sampler = sampler;
    world.start({ 'connector.class': 'Collector', topics: 't', ...more }, { queues: world.queues('t') });
  };
  const sent = (count: number): Promise<void> => world.clock.until(() => world.bodies('t').length >= count);
  const spans = async (): Promise<readonly SpanData[]> => {
    await world.clock.advance(1000);
    return world.spans;
  };
  const roots = async (): Promise<readonly SpanData[]> => (await spans()).filter(({ parentSpanId }) => parentSpanId === '');
  const below = (all: readonly SpanData[], root: SpanData | undefined): string[] =>
    all
      .filter(({ parentSpanId, context }) => parentSpanId === root?.context.spanId && context.traceId === root.context.traceId)
      .map(({ name }) => name);
  const traceparents = (): (string | undefined)[] =>
    world.messages('t').flatMap((queue) => queue.map(({ properties }) => property(properties, 'traceparent')));
  const write = (from: number, to: number, properties: (index: number) => string): void => {
    const builder = new BatchBuilder();
    for (let i = from; i < to; i++) builder.add(Buffer.from(`line ${i}`), properties(i));
    world.log.append({ topic: 't', broker: 'simulated', queue: 0 }, builder.take());
  };
  const context = (i: number, sampled = true) => ({
    traceId: i.toString(16).padStart(32, 'a'),
    spanId: i.toString(16).padStart(16, 'b'),
    sampled,
    state: '',
  });
  const carrying = (i: number, sampled = true): string => encodeProperty('traceparent', formatTraceparent(context(i, sampled)));

  describe('of a source', () => {
    it('have a span for poll, convert and each send, and all messages of the batch carry it', async () => {
      batches.push(records(['a', 'b', 'c']));
      startSource(always);
      await sent(3);
      const all = await spans();
      const [root, ...others] = await roots();
      assert.deepEqual(others, []);
      assert.equal(root?.name, 'source batch');
      assert.equal(root.error, null);
      assert.deepEqual(root.attributes, { 'rmqc.connector': 'c', 'rmqc.task': 0, 'rmqc.records': 3 });
      assert.deepEqual(below(all, root).sort(), ['convert', 'poll', 'send']);
      assert.deepEqual(new Set(traceparents()), new Set([formatTraceparent(root.context)]));
      for (const span of all) assert.ok(span.startMs >= root.startMs && span.endMs <= root.endMs && span.endMs >= span.startMs, span.name);
      const send = all.find(({ name }) => name === 'send');
      assert.equal(send?.attributes['messaging.destination.name'], 't');
      assert.equal(send?.attributes['messaging.batch.message_count'], 3);
    });

    it('end when the log has all of the batch, over several sends', async () => {
      batches.push(records(['a', 'b', 'c', 'd', 'e']));
      startSource(always, { 'batch.max.count': '2' });
      await sent(5);
      const all = await spans();
      const [root] = await roots();
      assert.deepEqual(below(all, root).sort(), ['convert', 'poll', 'send', 'send', 'send']);
      assert.equal(all.at(-1), root, 'the last to end');
    });

    it('have a span for each send of a message that the log delivers later, up to a number', async () => {
      batches.push(records(Array.from({ length: 70 }, (_, i) => `line ${i}`)));
      startSource(always, { 'rocketmq.delay.ms': '60000' });
      await sent(70);
      const all = await spans();
      const [root] = await roots();
      assert.equal(root?.error, null);
      assert.deepEqual(
        ['convert', 'poll', 'send'].map((name) => below(all, root).filter((each) => each === name).length),
        [1, 1, 64],
      );
      assert.equal(all.at(-1), root, 'the last to end');
    });

    it('have a span for transforms where there are some', async () => {
      batches.push(records(['a']));
      startSource(always, { transforms: 'x', 'transforms.x.type': 'Upper' });
      await sent(1);
      const [root] = await roots();
      assert.deepEqual(below(await spans(), root).sort(), ['convert', 'poll', 'send', 'transform']);
      assert.deepEqual(world.bodies('t'), ['A']);
    });

    it('are made for sampled batches only: by default the first in each second', async () => {
      for (let i = 0; i < 5; i++) batches.push(records([`line ${i}`]));
      startSource({ root: 'perSecond', ratio: 1, parentBased: true });
      await sent(5);
      assert.equal((await roots()).length, 1);
      assert.equal(traceparents().filter((text) => text !== undefined).length, 1);
      await world.clock.advance(1000);
      batches.push(records(['later']));
      await sent(6);
      assert.equal((await roots()).length, 2);
    });

    it('are none where nothing is traced, and messages carry nothing', async () => {
      batches.push(records(['a']));
      startSource(null);
      await sent(1);
      assert.deepEqual([await spans(), traceparents()], [[], [undefined]]);
    });

    it('leave the trace to a record that came with one, and link to it, once', async () => {
      const own = formatTraceparent(context(7));
      batches.push([...records(['a', 'b'], { headers: [{ name: 'traceparent', value: own }] }), ...records(['c'])]);
      startSource(always);
      await sent(3);
      const [root] = await roots();
      assert.deepEqual(root?.links, [context(7)]);
      assert.deepEqual(new Set(traceparents()), new Set([own, formatTraceparent(root.context)]));
    });

    it('show why a batch failed, without secrets', async () => {
      batches.push(records(['good', 'bad']));
      startSource(always, { transforms: 'x', 'transforms.x.type': 'Upper' });
      await world.failed();
      const [root] = await roots();
      assert.match(root?.error ?? '', /it is bad/);
    });

    it('have a span per record only when asked, which its message then carries', async () => {
      batches.push(records(['a', 'b', 'c']));
      startSource(always, { 'trace.records': 'true' });
      await sent(3);
      const all = await spans();
      const own = all.filter(({ name }) => name === 'record').map((span) => formatTraceparent(span.context));
      assert.equal(own.length, 3);
      assert.deepEqual(new Set(traceparents()), new Set(own));
    });

    it('are dropped and counted where there are more than the main thread should take', async () => {
      batches.push(records(Array.from({ length: 3000 }, (_, i) => `line ${i}`)));
      startSource(always, { 'trace.records': 'true' });
      await sent(3000);
      await world.clock.advance(5000);
      batches.push(records(['later']));
      await sent(3001);
      await world.clock.advance(1000);
      assert.ok(world.spans.length < 2500, `${world.spans.length} spans`);
      assert.equal(world.spans.length + world.droppedSpans, 3000 + 4 + 1 + 4);
    });
  });

  describe('of commits', () => {
    const named = async (name: string): Promise<readonly SpanData[]> => (await spans()).filter((span) => span.name === name);
    const startQuietSource = (): void => startSource(always);

    it('are below the source batch whose offsets they store, and config-service is told of them', async () => {
      batches.push(records(['a', 'b']));
      startQuietSource();
      await sent(2);
      await world.committed();
      const [root] = await roots();
      assert.deepEqual(below(await spans(), root).sort(), ['commit', 'convert', 'flush', 'poll', 'send']);
      const [commit] = await named('commit');
      assert.deepEqual(world.traceparents, [formatTraceparent(commit?.context ?? context(0))]);
      await world.committed();
      assert.equal((await named('commit')).length, 1, 'a commit of nothing sampled has none');
      assert.equal(world.traceparents[1], undefined);
    });

    it('are of the first source batch, and linked to the others that they cover', async () => {
      batches.push(records(['a']), records(['b']), records(['c']));
      startQuietSource();
      await sent(3);
      await world.committed();
      const [first, ...others] = await roots();
      const [commit, ...more] = await named('commit');
      assert.deepEqual(more, []);
      assert.deepEqual([commit?.context.traceId, commit?.parentSpanId], [first?.context.traceId, first?.context.spanId]);
      assert.deepEqual(
        commit?.links,
        others.map((root) => root.context),
      );
    });

    it('wait for the commit that covers all of a batch', async () => {
      batches.push(records(['a', 'b']));
      startQuietSource();
      world.log.faults = ({ operation }) => (operation === 'send' ? { delayMs: 5_000 } : undefined);
      await world.clock.advance(100);
      await world.committed();
      assert.deepEqual(await named('commit'), []);
      await sent(2);
      await world.committed();
      assert.equal((await named('commit')).length, 1);
    });

    it('show one that was never answered, and leave the last to config-service, below the batch', async () => {
      write(0, 1, () => carrying(1));
      startSink(byParentsOnly);
      await world.clock.until(() => got.length === 1);
      world.answersCommits = false;
      world.commit();
      await world.clock.advance(100);
      write(1, 2, () => carrying(2));
      await world.clock.until(() => got.length === 2);
      await world.stop();
      const [commit, ...more] = await named('commit');
      assert.deepEqual(more, []);
      assert.match(commit?.error ?? '', /ended before it heard/);
      const last = (await roots()).find(({ links }) => links[0]?.traceId === context(2).traceId);
      assert.equal(world.lastContent?.traceparent, formatTraceparent(last?.context ?? context(0)));
    });
  });

  describe('of a sink', () => {
    it('link to the batches whose records are delivered, each once, and end with a commit', async () => {
      write(0, 10, (i) => carrying(i < 5 ? 1 : 2));
      startSink(byParentsOnly);
      await world.clock.until(() => got.length === 10);
      await world.committed();
      // With nothing new: of no batch.
      await world.committed();
      const all = await spans();
      const [root] = await roots();
      assert.equal(root?.name, 'sink batch');
      assert.deepEqual(root.links, [context(1), context(2)]);
      assert.deepEqual(below(all, root).sort(), ['commit', 'convert', 'fetch', 'flush', 'put']);
      assert.equal(root.attributes['messaging.batch.message_count'], 10);
    });

    it('are none for messages that carry nothing, or a trace that is not sampled', async () => {
      write(0, 10, () => '');
      write(10, 20, () => carrying(1, false));
      startSink(byParentsOnly);
      await world.clock.until(() => got.length === 20);
      await world.committed();
      assert.deepEqual(await spans(), []);
    });

    it('are none where the sampler says never, whatever messages carry', async () => {
      write(0, 10, () => carrying(1));
      startSink({ root: 'never', ratio: 0, parentBased: false });
      await world.clock.until(() => got.length === 10);
      assert.deepEqual(await spans(), []);
    });

    it('name at most 128 links, and how many more there were', async () => {
      write(0, 150, (i) => carrying(i + 1));
      startSink(always);
      await world.clock.until(() => got.length === 150);
      const all = await roots();
      assert.deepEqual([all[0]?.links.length, all[0]?.droppedLinks], [128, 22]);
    });

    it('give the trace to the sink as a header, as they do with any property, beside an id or other headers', async () => {
      write(0, 1, () => carrying(1));
      write(1, 2, () => `rmqc.id\x01abc\x02${carrying(2)}`);
      write(2, 3, () => `rmqc.id\x01abc\x02${carrying(2)}h\x01v\x02tracestate\x01k=v\x02`);
      startSink(always);
      await world.clock.until(() => got.length === 3);
      const header = (i: number) => got[i]?.headers?.find(({ name }) => name === 'traceparent')?.value;
      assert.deepEqual(
        [header(0), header(1), header(2)],
        [1, 2, 2].map((i) => formatTraceparent(context(i))),
      );
      const states = (await roots()).flatMap(({ links }) => links.map(({ state }) => state));
      assert.deepEqual([...new Set(states)].sort(), ['']);
    });

    it('show in the log lines of the sink', async () => {
      write(0, 1, () => carrying(1));
      startSink(always);
      await world.clock.until(() => got.length === 1);
      const [root] = await roots();
      const line = world.lines.find(({ message }) => message === 'put');
      assert.deepEqual([line?.fields['trace_id'], line?.fields['span_id']], [root?.context.traceId, root?.context.spanId]);
    });

    it('have a span per record only when asked, linked to what its message carries', async () => {
      write(0, 3, (i) => carrying(i + 1));
      startSink(always, { 'trace.records': 'true' });
      await world.clock.until(() => got.length === 3);
      const own = (await spans()).filter(({ name }) => name === 'record');
      assert.deepEqual(
        own.map(({ links }) => links),
        [[context(1)], [context(2)], [context(3)]],
      );
    });

    it('are handed over before their task has ended, so that none is lost with its host', async () => {
      write(0, 1, () => carrying(1));
      startSink(always);
      await world.clock.until(() => got.length === 1);
      await world.stop();
      assert.ok(world.spans.some(({ name }) => name === 'sink batch'));
    });

    it('show why a put failed', async () => {
      write(0, 1, () => carrying(1));
      onPut = () => {
        throw new DataError('no such table', { code: 'NO_TABLE' });
      };
      startSink(always);
      await world.failed();
      const all = await spans();
      for (const name of ['put', 'sink batch']) assert.match(all.find((span) => span.name === name)?.error ?? '', /no such table/);
    });
  });
});
