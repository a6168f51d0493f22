/**
 * Records/s of the remoting adapter against a real RocketMQ (`scripts/rocketmq up`), beside a bare socket that does as little as can be done,
 * in the same run: `npm run bench message-log-remoting [records] [body bytes] [batch] [name server]`. Order is kept in every row: one batch in
 * flight per queue; pulls are put in order. The middle of some rounds, taken in turn, since broker and client share the machine.
 */
import { connect } from 'node:net';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageBatch, MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { BatchBuilder, decodeFetched, encodeProperty } from '@rocketmq-connect/message-log/message';
import { connectRemotingLog } from '@rocketmq-connect/message-log/remoting/client';
import { encodeFrameHead } from '@rocketmq-connect/message-log/remoting/frame';
import { pullRequest } from '@rocketmq-connect/message-log/remoting/requests/pull';
import { sendBatchRequest } from '@rocketmq-connect/message-log/remoting/requests/send-batch';

const [records = 100_000, bodyBytes = 137, batchSize = 1_000] = process.argv.slice(2, 5).map(Number);
const nameServer = process.argv[5] ?? '127.0.0.1:19876';
const ROUNDS = Number(process.env['ROUNDS'] ?? 5);
const PER_PULL = 32;

const batch = oneBatch();
const admin = client(64);
const broker = process.env['BROKER'] ?? '127.0.0.1:19886';
console.log(`${records} records of ${bodyBytes} bytes, ${batchSize} a batch`);
console.log('way                        in flight   k records/s (bare)    of bare   µs CPU a record (bare)');
for (const queues of [4, 8, 16]) {
  const all = await freshTopic(queues);
  await compare(
    `send, ${queues} queues`,
    queues,
    () => sendBare(all),
    () => send(all),
  );
  if (queues === 4) {
    const [first] = all as [QueueAddress];
    const stored = await until(async () => admin.maxOffset(first));
    for (const pulls of [1, 4, 16]) {
      await compare(
        `pull and decode, ${queues} queues`,
        pulls * queues,
        () => pullBare(all, pulls, stored),
        () => pull(all, pulls, stored),
      );
    }
  }
  await admin.deleteTopic(topicOf(all));
}
await admin.close();

interface Measure {
  readonly rate: number;
  readonly cpuUs: number;
}

async function compare(name: string, inFlight: number, bare: () => Promise<number>, ours: () => Promise<number>): Promise<void> {
  const all: { readonly bare: Measure[]; readonly ours: Measure[] } = { bare: [], ours: [] };
  for (let round = 0; round < ROUNDS; round++) {
    const turns = [
      ['bare', bare],
      ['ours', ours],
    ] as const;
    for (const [who, work] of round % 2 === 0 ? turns : turns.toReversed()) {
      all[who].push(await measure(work));
    }
  }
  const middle = { bare: median(all.bare), ours: median(all.ours) };
  const k = (rate: number): string => String(Math.round(rate / 1e3)).padStart(4);
  console.log(
    `${name.padEnd(27)}${String(inFlight).padStart(5)}${k(middle.ours.rate).padStart(14)} (${k(middle.bare.rate)})` +
      `${String(Math.round((middle.ours.rate / middle.bare.rate) * 100)).padStart(14)} %` +
      `${middle.ours.cpuUs.toFixed(2).padStart(15)} (${middle.bare.cpuUs.toFixed(2)})`,
  );
}

function median(measures: readonly Measure[]): Measure {
  const of = (pick: (measure: Measure) => number): number => measures.map(pick).sort((a, b) => a - b)[measures.length >> 1] ?? 0;
  return { rate: of(({ rate }) => rate), cpuUs: of(({ cpuUs }) => cpuUs) };
}

async function measure(work: () => Promise<number>): Promise<Measure> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const count = await work();
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return { rate: (count * 1_000) / ms, cpuUs: (user + system) / count };
}

/** With one batch in flight per queue. */
async function send(queues: readonly QueueAddress[]): Promise<number> {
  const each = Math.ceil(records / batchSize / queues.length);
  const log = client(64);
  await Promise.all(
    queues.map(async (queue) => {
      for (let i = 0; i < each; i++) await log.send(queue, batch);
    }),
  );
  await log.close();
  return each * queues.length * batchSize;
}

async function sendBare(queues: readonly QueueAddress[]): Promise<number> {
  const each = Math.ceil(records / batchSize / queues.length);
  const left = new Map(queues.map(({ queue }) => [queue, each]));
  await bareLoop(queues.length, (queue) => {
    const more = left.get(queue) ?? 0;
    if (more === 0) return undefined;
    left.set(queue, more - 1);
    const { code, fields, body } = sendBatchRequest('bench', topicOf(queues), 'broker-a', queue, batch, 0);
    return [encodeFrameHead(code, queue, false, fields, body?.length ?? 0), body ?? Buffer.alloc(0)];
  });
  return each * queues.length * batchSize;
}

async function pull(queues: readonly QueueAddress[], pulls: number, stored: number): Promise<number> {
  const log = client(pulls * queues.length);
  const reader = await log.assign(
    'bench',
    queues.map((queue) => ({ queue, position: 0 })),
  );
  const { signal } = new AbortController();
  const wanted = Math.min(records, stored * queues.length);
  let seen = 0;
  while (seen < wanted) {
    for (const fetched of await reader.read(1024 * 1024, 1_000, signal)) {
      seen += fetched.count;
      decodeFetched(fetched, (body) => {
        if (body.length !== bodyBytes) throw new Error('another body came back');
      });
    }
  }
  await log.close();
  return seen;
}

async function pullBare(queues: readonly QueueAddress[], pulls: number, stored: number): Promise<number> {
  const next = new Map(queues.map(({ queue }) => [queue, 0]));
  const end = Math.min(stored, Math.floor(records / queues.length));
  await bareLoop(queues.length * pulls, (slot) => {
    const queue = slot % queues.length;
    const offset = next.get(queue) ?? 0;
    if (offset + PER_PULL > end) return undefined;
    next.set(queue, offset + PER_PULL);
    const { code, fields } = pullRequest({
      group: 'bench',
      topic: topicOf(queues),
      broker: 'broker-a',
      queue,
      offset,
      maxCount: PER_PULL,
      maxBytes: 256 * 1024,
      suspendMs: 0,
    });
    return [encodeFrameHead(code, slot, false, fields, 0)];
  });
  return [...next.values()].reduce((sum, offset) => sum + offset, 0);
}

/** As many requests in flight as slots; of an answer nothing is looked at but its length and number. */
function bareLoop(slots: number, request: (slot: number) => readonly Buffer[] | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const [host = '', port] = broker.split(':');
    const socket = connect(Number(port), host);
    socket.setNoDelay(true);
    let open = 0;
    const ask = (slot: number): void => {
      const parts = request(slot);
      if (parts === undefined) {
        if (--open === 0) {
          socket.destroy();
          resolve();
        }
        return;
      }
      socket.cork();
      for (const part of parts) socket.write(part);
      socket.uncork();
    };
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
        const size = 4 + rest.readInt32BE(0);
        const at = rest.indexOf('"opaque":', 8) + 9;
        ask(Number.parseInt(rest.toString('latin1', at, at + 6), 10));
        rest = rest.subarray(size);
      }
    });
    socket.on('error', reject);
    socket.on('connect', () => {
      open = slots;
      for (let slot = 0; slot < slots; slot++) ask(slot);
    });
  });
}

function client(pullsInFlight: number): MessageLog {
  const connection = { kind: 'remoting', nameServers: [nameServer], clientId: `bench-${Math.random()}`, pullsInFlight } as const;
  return connectRemotingLog(connection, { clock: systemClock, random: Math.random });
}

/** Never the name of one before: a broker that is behind with a deleted topic goes on with its positions in a new one of that name. */
async function freshTopic(queues: number): Promise<readonly QueueAddress[]> {
  return (await admin.createTopic(`bench-remoting-${process.pid}-${queues}`, { queues })).queues;
}

/** The broker is done with what was sent. */
async function until(max: () => Promise<number>): Promise<number> {
  for (let before = -1; ; ) {
    const now = await max();
    if (now === before) return now;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function topicOf([first]: readonly QueueAddress[]): string {
  return first?.topic ?? '';
}

function oneBatch(): MessageBatch {
  const builder = new BatchBuilder();
  const body = Buffer.alloc(bodyBytes, 'x');
  const properties = encodeProperty('rmqc.id', 'quickstart:3f2a9c:1234567:0');
  for (let i = 0; i < batchSize; i++) builder.add(body, properties);
  return builder.take();
}
