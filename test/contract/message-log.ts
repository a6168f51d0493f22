import assert from 'node:assert/strict';
import type {
  FetchedMessages,
  LogCapabilities,
  MessageBatch,
  MessageLog,
  QueueAddress,
  TopicDescription,
} from '@rocketmq-connect/message-log';
import { MAX_BATCH_BYTES } from '@rocketmq-connect/message-log/checks';
import { BatchBuilder, decodeFetched, encodeProperty, property } from '@rocketmq-connect/message-log/message';
import { ConnectError } from '@rocketmq-connect/sdk';
import { positionsContract } from './message-log-positions.ts';
import { subscriptionContract } from './message-log-subscription.ts';
import { topicsContract } from './message-log-topics.ts';

/** A log to test, and power over its surroundings. */
export interface LogUnderTest {
  /** A client of its own; they share one log. */
  connect(): MessageLog;
  /** The time by which the log stamps what it stores. */
  now(): number;
  /** It hears of topics that change or go only after a while; 0 or absent: at once. */
  readonly topicsLateMs?: number;
  /** By other means, where the log itself cannot. */
  createTopic?(topic: string, queues: number): Promise<void>;
  /** For how long a message that is dealt out stays with who has it; absent: as long as a test likes. */
  readonly invisibleMs?: number;
  /** Lets time pass. */
  wait(ms: number): Promise<void>;
  /** Lets time pass until the promise is done, where it passes only when the test says so. One at a time. */
  passing?<T>(promise: Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export const MIB = 1024 * 1024;

/**
 * The sentences of the port `MessageLog`: what every adapter keeps, and a suite for each of its capabilities. What an adapter lacks is
 * named as a pending test.
 */
export function messageLogContract(name: string, capabilities: LogCapabilities, open: () => Promise<LogUnderTest>): void {
  describe(`MessageLog: ${name}`, () => {
    describe('whatever its capabilities', () => commonContract(capabilities, open));
    for (const [capability, contract] of [
      ['createTopic', topicsContract],
      ['assign', positionsContract],
      ['subscribe', subscriptionContract],
    ] as const) {
      if (capabilities[capability]) contract(open);
      else it(`does not have the capability ${capability}`);
    }
  });
}

let topics = 0;

/** Of a topic that no test had before: what proxies remember of others is no matter. */
export function newTopicName(): string {
  return `topic-${process.pid}-${++topics}`;
}

export async function newTopic(
  under: LogUnderTest,
  log: MessageLog,
  queues: number,
  topic = newTopicName(),
): Promise<readonly QueueAddress[]> {
  if (under.createTopic === undefined) await log.createTopic(topic, { queues });
  else await under.createTopic(topic, queues);
  return (await described(log, topic)).queues;
}

/** A proxy remembers for a while that there was no such topic. */
async function described(log: MessageLog, topic: string): Promise<TopicDescription> {
  for (;;) {
    try {
      return await log.describeTopic(topic);
    } catch (error) {
      if (!(error instanceof ConnectError) || error.code !== 'TOPIC_NOT_FOUND') throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

function commonContract(capabilities: LogCapabilities, open: () => Promise<LogUnderTest>): void {
  let under: LogUnderTest;
  let log: MessageLog;
  let queues: readonly QueueAddress[];
  let first: QueueAddress;

  beforeEach(async () => {
    under = await open();
    log = under.connect();
    queues = await newTopic(under, log, 2);
    first = queues[0] as QueueAddress;
  });
  afterEach(() => under.close());

  it('says what it can', () => {
    assert.deepEqual(log.capabilities, capabilities);
  });

  it('refuses with a remedy what it cannot', async () => {
    const missing = (error: { kind?: string; code?: string; remedy?: string }): boolean =>
      error.kind === 'fatal' && error.code === 'LOG_CAPABILITY_MISSING' && (error.remedy ?? '') !== '';
    if (!capabilities.assign) {
      await assert.rejects(log.assign('test', [{ queue: first, position: 0 }]), missing);
      for (const ask of ['minOffset', 'maxOffset'] as const) await assert.rejects(log[ask](first), missing);
      await assert.rejects(log.offsetAt(first, 0), missing);
    }
    if (!capabilities.subscribe) await assert.rejects(log.subscribe('test', [first.topic]), missing);
    if (!capabilities.createTopic) {
      await assert.rejects(log.createTopic('another', { queues: 1 }), missing);
      await assert.rejects(log.listTopics(), missing);
      await assert.rejects(log.deleteTopic(first.topic), missing);
    }
  });

  it('describes a topic with its queues in order', async () => {
    assert.deepEqual(
      queues.map(({ topic, queue }) => [topic, queue]),
      [
        [first.topic, 0],
        [first.topic, 1],
      ],
    );
    assert.deepEqual(await under.connect().describeTopic(first.topic), { topic: first.topic, queues });
  });

  it('says which topics, queues and brokers are not there', async () => {
    const unknown = { ...first, topic: 'nowhere' };
    const notFound = { kind: 'data', code: 'TOPIC_NOT_FOUND' };
    await assert.rejects(log.describeTopic('nowhere'), notFound);
    await assert.rejects(log.send(unknown, batchOf(['x'])), notFound);
    await assert.rejects(log.send({ ...first, queue: 2 }, batchOf(['x'])), { kind: 'data', code: 'QUEUE_NOT_FOUND' });
    const away = (error: { code?: string }): boolean => /^(QUEUE_NOT_FOUND|BROKER_UNAVAILABLE)$/.test(error.code ?? '');
    await assert.rejects(log.send({ ...first, broker: 'another' }, batchOf(['x'])), away, 'gone, or away for now');
  });

  describe('sends', () => {
    it('keep bodies and properties as they are', async () => {
      const bodies = [Buffer.alloc(0), Buffer.from([0, 255, 1, 2, 10]), Buffer.from('grün')];
      const builder = new BatchBuilder(16);
      for (const [index, body] of bodies.entries()) {
        builder.add(body, encodeProperty('KEYS', `k${index}-ключ`) + encodeProperty('note', 'two\nlines'));
      }
      await log.send(first, builder.take());
      const seen: unknown[] = [];
      for (const fetched of await receive(under, log, first, bodies.length)) {
        decodeFetched(fetched, (body, properties) =>
          seen.push([Buffer.from(body), property(properties, 'KEYS'), property(properties, 'note')]),
        );
      }
      assert.deepEqual(
        seen,
        bodies.map((body, index) => [body, `k${index}-ключ`, 'two\nlines']),
      );
    });

    it('refuse an empty batch', async () => {
      await assert.rejects(log.send(first, { bytes: Buffer.alloc(0), count: 0 }), { kind: 'data', code: 'BATCH_EMPTY' });
    });

    it('take a batch of 4 MiB and refuse a larger one, or a single message of more than the log says', async () => {
      const envelope = 22;
      const builder = new BatchBuilder();
      builder.add(Buffer.alloc(MAX_BATCH_BYTES - envelope, 7), '');
      const largest = builder.take();
      assert.equal(largest.bytes.length, MAX_BATCH_BYTES);
      await log.send(first, largest);
      for (const sizes of [[MAX_BATCH_BYTES - 2 * envelope, 1], [(log.capabilities.messageBytesMax ?? MAX_BATCH_BYTES) - envelope + 1]]) {
        for (const size of sizes) builder.add(Buffer.alloc(size), '');
        await assert.rejects(log.send(first, builder.take()), { kind: 'data', code: 'BATCH_TOO_LARGE' });
      }
      const [fetched] = await receive(under, log, first, 1, 1_000);
      assert.equal(fetched?.count, 1, 'one message at least, however large');
      decodeFetched(fetched, (body) => assert.equal(body.equals(Buffer.alloc(MAX_BATCH_BYTES - envelope, 7)), true));
    });

    it('refuse bytes that are not as many messages as the batch says', async () => {
      const { bytes, count } = batchOf(['a', 'b']);
      for (const wrong of [
        { bytes, count: count + 1 },
        { bytes, count: count - 1 },
        { bytes: bytes.subarray(0, bytes.length - 1), count },
        { bytes: Buffer.alloc(50), count: 1 },
      ]) {
        await assert.rejects(log.send(first, wrong), { kind: 'data', code: 'BATCH_LAYOUT_INVALID' });
      }
    });

    it('are readable once acknowledged, and stay so after a flush', async () => {
      await log.send(first, batchOf(['a']));
      await log.flush();
      await log.flush();
      assert.deepEqual((await receive(under, under.connect(), first, 1)).flatMap(bodiesOf), ['a']);
    });
  });

  it('refuses everything once the client is closed', async () => {
    const other = under.connect();
    await other.close();
    const closed = { code: 'LOG_CLOSED' };
    await assert.rejects(other.send(first, batchOf(['a'])), closed);
    await assert.rejects(other.describeTopic(first.topic), closed);
  });
}

let groups = 0;

/** Messages of a queue from its beginning, by whichever way the log has. */
async function receive(
  under: LogUnderTest,
  log: MessageLog,
  queue: QueueAddress,
  count: number,
  maxBytes = MIB,
): Promise<readonly FetchedMessages[]> {
  const reader = log.capabilities.assign
    ? await log.assign('test', [{ queue, position: 0 }])
    : await log.subscribe(`common-${process.pid}-${++groups}`, [queue.topic]);
  const received: FetchedMessages[] = [];
  for (let seen = 0; seen < count; ) {
    for (const fetched of await readWhileTimePasses(under, reader, maxBytes)) {
      received.push(fetched);
      seen += fetched.count;
    }
  }
  await reader.close();
  return received;
}

/** A read that ends on a clock of the test's, too. */
export function readWhileTimePasses(
  under: LogUnderTest,
  reader: { read(maxBytes: number, waitMs: number, signal: AbortSignal): Promise<readonly FetchedMessages[]> },
  maxBytes = MIB,
): Promise<readonly FetchedMessages[]> {
  const reading = reader.read(maxBytes, 1_000, new AbortController().signal);
  return under.passing?.(reading) ?? reading;
}

/** Reads from a position until `count` messages came; bodies as text. */
export async function readBodies(log: MessageLog, queue: QueueAddress, position: number, count: number, maxBytes = MIB): Promise<string[]> {
  const reader = await log.assign('test', [{ queue, position }]);
  const bodies: string[] = [];
  let next = position;
  while (bodies.length < count) {
    for (const fetched of await reader.read(maxBytes, 1_000, new AbortController().signal)) {
      assert.equal(fetched.offset, next, 'no gap, nothing twice');
      next += fetched.count;
      bodies.push(...bodiesOf(fetched));
    }
  }
  await reader.close();
  return bodies;
}

/** A batch of text bodies without properties. */
export function batchOf(bodies: readonly string[]): MessageBatch {
  const builder = new BatchBuilder(256);
  for (const body of bodies) builder.add(Buffer.from(body), '');
  return builder.take();
}

export function bodiesOf(fetched: FetchedMessages): string[] {
  const bodies: string[] = [];
  decodeFetched(fetched, (body) => bodies.push(body.toString()));
  assert.equal(bodies.length, fetched.count);
  return bodies;
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}
