import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { BatchBuilder, decodeFetched } from '@rocketmq-connect/message-log/message';
import { connectProxyLog } from '@rocketmq-connect/message-log/proxy/client';
import { connectRemotingLog } from '@rocketmq-connect/message-log/remoting/client';
import { patiently } from './support/numbered-sends.ts';
import { killRocketmq, rocketmq, startRocketmq, useRocketmq } from './support/rocketmq.ts';
import { type StandaloneProcess, startStandalone, waitFor } from './support/standalone.ts';
import { Wire } from './support/wire.ts';

const RECORDS = 20_000;
const BATCH = 100;
/** The least that a proxy takes. */
const INVISIBLE_MS = 10_000;
const { signal } = new AbortController();

describe('A gRPC proxy that fails', function () {
  this.timeout(180_000);
  const opened: { close(): unknown }[] = [];
  let clients = 0;
  let topic: string;

  before(async function () {
    await useRocketmq(this);
  });
  beforeEach(async () => {
    topic = `proxy-failures-${process.pid}-${++clients}`;
    await createTopic(topic, 4);
  });
  afterEach(async () => {
    for (const one of opened.splice(0).reverse()) await one.close();
  });

  function connect(address: string = rocketmq.proxyGrpc): MessageLog {
    const clientId = `proxy-failures-${process.pid}-${++clients}`;
    const log = connectProxyLog(
      { kind: 'proxy', proxies: [address], clientId, invisibleMs: INVISIBLE_MS, requestTimeoutMs: 3_000 },
      { clock: systemClock, random: Math.random, pid: process.pid },
    );
    opened.push(log);
    return log;
  }

  it('is killed and started again: nothing that was sent is lost, on the way in or out', async function () {
    const copy = new Copy(connect(), connect(), topic);
    const done = copy.run();
    await copy.reached(RECORDS / 4);
    await killRocketmq('proxy');
    await startRocketmq();
    report(this, await done);
  });

  it('is reached by a wire that is cut, within requests and within answers', async function () {
    const wire = await new Wire(rocketmq.proxyGrpc).listen();
    opened.push(wire);
    const copy = new Copy(connect(wire.address), connect(wire.address), topic);
    const done = copy.run();
    for (let round = 1; round <= 8; round++) {
      await copy.reached((RECORDS / 10) * round);
      if (round % 4 === 0) wire.cut();
      else await wire.strike({ direction: round % 2 === 0 ? 'answer' : 'request', afterBytes: 3_000 * round, then: 'cut' });
    }
    report(this, await done);
  });

  it('loses a member without a word: what it held goes to another, when its time is over', async () => {
    const wire = await new Wire(rocketmq.proxyGrpc).listen();
    const [queue] = (await connect().describeTopic(topic)).queues as [QueueAddress];
    await connect().send(queue, numbered(0, BATCH));
    const lost = await connect(wire.address).subscribe(topic, [topic]);
    const held = new Set<number>();
    while (held.size < BATCH) {
      for (const part of await lost.read(1_000_000, 1_000, signal)) decodeFetched(part, (body) => held.add(Number(body)));
    }
    await lost.acknowledge(10);
    wire.close();
    const sinceMs = performance.now();
    const next = await connect().subscribe(topic, [topic]);
    const again = new Set<number>();
    while (again.size < BATCH - 10) {
      for (const part of await next.read(1_000_000, 1_000, signal)) {
        decodeFetched(part, (body) => again.add(Number(body)));
        await next.acknowledge(part.count);
      }
    }
    assert.equal(again.size, BATCH - 10, 'what was acknowledged does not come again');
    assert.ok(performance.now() - sinceMs > INVISIBLE_MS / 2, 'not while it is held');
  });

  it('carries a file through a topic into a file, over kill -9 of the process, and keeps the positions of sinks', async function () {
    const folder = mkdtempSync(join(tmpdir(), 'rmqc-proxy-'));
    opened.push({ close: () => rmSync(folder, { recursive: true, force: true }) });
    const [source, copy] = [join(folder, 'source.txt'), join(folder, 'copy.txt')];
    const lines = Array.from({ length: RECORDS }, (_, i) => `line ${i}`);
    writeFileSync(source, `${lines.join('\n')}\n`);
    const start = async (): Promise<StandaloneProcess> => {
      const args = ['--rocketmq-proxy', rocketmq.proxyGrpc, '--offsets-commit-interval-ms', '500', '--lease-ttl-ms', '3000'];
      const process = await startStandalone({ dataDir: join(folder, 'data'), cwd: folder, args: [...args, '--no-quickstart'] });
      opened.push({ close: () => (process.child.exitCode === null && process.child.signalCode === null ? process.kill() : undefined) });
      return process;
    };
    const written = (): string[] => (existsSync(copy) ? readFileSync(copy, 'utf8').split('\n').slice(0, -1) : []);
    const first = await start();
    await first.request('POST', '/connectors', {
      name: `in-${topic}`,
      config: { 'connector.class': 'FileStreamSource', file: source, topic },
    });
    await first.request('POST', '/connectors', {
      name: `out-${topic}`,
      config: { 'connector.class': 'FileStreamSink', file: copy, topics: topic },
    });
    await waitFor(() => written().length > 2_000, 'lines arrive', 120_000);
    await first.kill();
    const second = await start();
    await waitFor(() => new Set(written()).size === RECORDS, 'every line arrives', 120_000);
    const result = new Set(written());
    assert.deepEqual([...result].toSorted(byNumber), lines);
    report(this, { duplicates: written().length - RECORDS, doubts: 0 });
    await assert.rejects(second.request('GET', `/connectors/out-${topic}/offsets`), /answered 400: .*keeps them itself/);
    assert.equal(await second.interrupt(), 0);
  });
});

/** Sends the numbers 0, 1, 2 … and receives them, both at once; acknowledges what it has. */
class Copy {
  readonly #to: MessageLog;
  readonly #from: MessageLog;
  readonly #topic: string;
  readonly #seen = new Set<number>();
  #received = 0;
  #doubts = 0;

  constructor(to: MessageLog, from: MessageLog, topic: string) {
    this.#to = to;
    this.#from = from;
    this.#topic = topic;
  }

  async run(): Promise<{ duplicates: number; doubts: number }> {
    const { queues } = await this.#to.describeTopic(this.#topic);
    let next = 0;
    const sending = queues.map(async (queue) => {
      while (next < RECORDS) {
        const batch = numbered(next, BATCH);
        next += BATCH;
        await patiently(
          () => this.#to.send(queue, batch),
          (error) => {
            if (error.code === 'SEND_OUTCOME_UNKNOWN') this.#doubts++;
          },
        );
        // Faults must meet it under way: it stays close before what is received.
        await waitFor(() => next - this.#seen.size < RECORDS / 10, 'it is received', 120_000);
      }
    });
    await Promise.all([...sending, this.#receive()]);
    return { duplicates: this.#received - RECORDS, doubts: this.#doubts };
  }

  async reached(count: number): Promise<void> {
    await waitFor(() => this.#seen.size >= count, `${count} records are received`, 120_000);
  }

  async #receive(): Promise<void> {
    const subscription = await this.#from.subscribe(this.#topic, [this.#topic]);
    while (this.#seen.size < RECORDS) {
      for (const part of await patiently(() => subscription.read(100_000, 1_000, signal))) {
        this.#received += part.count;
        decodeFetched(part, (body) => this.#seen.add(Number(body)));
        void subscription.acknowledge(part.count).catch(() => undefined);
      }
    }
  }
}

function report(context: Mocha.Context, { duplicates, doubts }: { readonly duplicates: number; readonly doubts: number }): void {
  assert.ok(duplicates >= 0, 'nothing is lost');
  const { test } = context;
  if (test !== undefined) test.title += ` (${RECORDS} records, ${duplicates} duplicates, ${doubts} sends in doubt)`;
}

function numbered(from: number, count: number) {
  const builder = new BatchBuilder();
  for (let i = 0; i < count; i++) builder.add(Buffer.from(String(from + i)), '');
  return builder.take();
}

function byNumber(a: string, b: string): number {
  return Number(a.slice(5)) - Number(b.slice(5));
}

async function createTopic(topic: string, queues: number): Promise<void> {
  const admin = connectRemotingLog(
    { kind: 'remoting', nameServers: [rocketmq.nameServer], clientId: `proxy-failures-admin-${topic}` },
    { clock: systemClock, random: Math.random },
  );
  await admin.createTopic(topic, { queues });
  await admin.close();
}
