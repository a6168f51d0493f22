/**
 * Rates of the message log's adapters beside a bare socket and beside the official Java client, all in one run, in turns:
 * `npm run bench message-log -- [--records 100000] [--body 137] [--batch 1000] [--rounds 5] [--only bare --only broker]`. Needs `scripts/rocketmq up` (`ROCKETMQ_PORT` as there),
 * and a JDK and Maven for the Java client; what is not there is left out.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { connectEmbeddedLog } from '@rocketmq-connect/message-log/embedded/client';
import { EmbeddedLog } from '@rocketmq-connect/message-log/embedded/log';
import { BatchBuilder } from '@rocketmq-connect/message-log/message';
import { connectProxyLog } from '@rocketmq-connect/message-log/proxy/client';
import { connectRemotingLog } from '@rocketmq-connect/message-log/remoting/client';
import { JavaClient } from '../test/support/java-client.ts';
import { buildBatch, readThrough, receiveThrough, sendThrough } from './message-log/adapter.ts';
import { pullBare, sendBare } from './message-log/bare-socket.ts';
import { compare, type Way } from './message-log/rounds.ts';

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '100000' },
    body: { type: 'string', default: '137' },
    batch: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '5' },
    /** Part of the names of those that are wanted. */
    only: { type: 'string', multiple: true, default: [''] },
  },
});
const [records, batchSize, rounds] = [Number(values.records), Number(values.batch), Number(values.rounds)];
const body = Buffer.alloc(Number(values.body), 'x');
/** Queues of the topic that is read, and of the one that is sent to with more in flight. */
const QUEUES = 4;
const QUEUES_WIDE = 16;
const PULLS = [1, 16];
/** The gRPC proxy hands out some thousand a second. */
const GRPC_RECORDS = Math.min(records, 8_000);
/** A proxy drops an answer while 64 KB wait for the socket, and the answer to a batch has 58 bytes per record. */
const PROXY_ANSWERS = 1_000;
/** A broker that others use too may be slow; a failed request would spoil the run. */
const PATIENCE_MS = 60_000;

const firstPort = Number(process.env['ROCKETMQ_PORT'] ?? 19_876);
const [nameServer = '', broker = '', proxy = '', proxyGrpc = ''] = [0, 10, 20, 21].map((port) => `127.0.0.1:${firstPort + port}`);
const bare = { address: broker, broker: 'broker-a' };

const folder = mkdtempSync(join(tmpdir(), 'rmqc-bench-log-'));
const embedded = await EmbeddedLog.open(folder);
const viaEmbedded = (): MessageLog => connectEmbeddedLog(embedded.connect().connection);
const isUp = await answers(nameServer);
const java = isUp && has('mvn') && has('javac') ? await JavaClient.start(nameServer) : undefined;
try {
  if (!isUp) process.stdout.write(`no name server at ${nameServer}: the embedded log only (scripts/rocketmq up)\n`);
  else if (java === undefined) process.stdout.write('no JDK with Maven here: the Java client is left out\n');
  process.stdout.write(`${records} records of ${body.length} bytes, ${batchSize} a batch, middle of ${rounds} rounds\n\n`);
  await benchmark(QUEUES, true);
  if (isUp) await benchmark(QUEUES_WIDE, false);
} finally {
  await java?.stop();
  await embedded.close();
  rmSync(folder, { recursive: true });
}

async function benchmark(count: number, isRead: boolean): Promise<void> {
  const admin = isUp ? viaRemoting(nameServer) : undefined;
  const topic = `bench-${process.pid}-${count}`;
  const local = viaEmbedded();
  const { queues: localQueues } = await local.createTopic(topic, { queues: count });
  const queues = (await admin?.createTopic(topic, { queues: count }))?.queues ?? [];
  try {
    await compare(`send, ${count} queues`, wanted(sends(localQueues, queues)), rounds);
    if (!isRead) return;
    const end = admin === undefined ? 0 : await settled(async () => admin.maxOffset(queues[0] as QueueAddress));
    const total = Math.min(records, end * count);
    for (const pulls of PULLS) {
      const title = `read, ${count} queues, ${pulls} ${pulls === 1 ? 'pull' : 'pulls'} each`;
      await compare(title, wanted(reads(localQueues, queues, pulls, total, end)), rounds);
    }
  } finally {
    await admin?.deleteTopic(topic);
    await local.close();
    await admin?.close();
  }
}

function sends(localQueues: readonly QueueAddress[], queues: readonly QueueAddress[]): Way[] {
  const each = Math.ceil(records / batchSize / localQueues.length);
  const through = (connect: () => MessageLog, to = queues, size = batchSize) =>
    sendThrough(connect, to, body, size, Math.ceil((each * batchSize) / size));
  const ways = { order: 'kept', inFlight: localQueues.length } as const;
  const rows: Way[] = [{ ...ways, name: 'embedded', run: () => through(viaEmbedded, localQueues) }];
  if (!isUp) return rows;
  const batch = buildBatch(new BatchBuilder(), body, batchSize);
  const proxyBatch = Math.min(batchSize, Math.floor(PROXY_ANSWERS / queues.length));
  const { topic = '' } = queues[0] ?? {};
  rows.push(
    { ...ways, name: 'bare socket to the broker', isBare: true, run: () => sendBare(bare, queues, batch, each) },
    { ...ways, name: 'remoting to the broker', run: () => through(() => viaRemoting(nameServer)) },
    {
      ...ways,
      name: `remoting to the proxy, ${proxyBatch} a batch`,
      run: () => through(() => viaRemoting(proxy), queues, proxyBatch),
    },
    { ...ways, name: 'gRPC to the proxy, which chooses queues', order: 'not kept', run: () => through(viaProxy) },
  );
  if (java === undefined) return rows;
  const batches = { bodyBytes: body.length, batchSize, batchesPerQueue: each };
  const run: Way['run'] = async () => ({ ...(await java.sendRate(topic, batches)), bytes: 0 });
  return [...rows, { ...ways, name: 'Java client, batches', run }];
}

function reads(localQueues: readonly QueueAddress[], queues: readonly QueueAddress[], pulls: number, total: number, end: number): Way[] {
  const ways = { order: 'kept', inFlight: queues.length * pulls } as const;
  const rows: Way[] = [{ ...ways, name: 'embedded', inFlight: 0, run: () => readThrough(viaEmbedded, localQueues, records, body) }];
  if (!isUp) return rows;
  const { topic = '' } = queues[0] ?? {};
  const pullsInFlight = pulls * queues.length;
  const upTo = Math.min(end, Math.ceil(total / queues.length));
  const through = (address: string) => readThrough(() => viaRemoting(address, pullsInFlight), queues, total, body);
  rows.push(
    { ...ways, name: 'bare socket to the broker', isBare: true, run: () => pullBare(bare, queues, pulls, upTo) },
    { ...ways, name: 'remoting to the broker', run: () => through(nameServer) },
  );
  if (pulls > 1) return rows;
  rows.push({ ...ways, name: 'remoting to the proxy', run: () => through(proxy) });
  const group = (): string => `bench-${process.hrtime.bigint()}`;
  const viaPop = (): ReturnType<Way['run']> => receiveThrough(viaProxy, topic, group(), GRPC_RECORDS, body);
  rows.push({ ...ways, name: 'gRPC to the proxy, acknowledged', inFlight: 0, run: viaPop });
  if (java === undefined) return rows;
  return [...rows, { ...ways, name: 'Java client, lite pull', run: async () => ({ ...(await java.pullRate(topic, total)), bytes: 0 }) }];
}

function wanted(ways: readonly Way[]): Way[] {
  return ways.filter(({ name }) => values.only.some((part) => name.includes(part)));
}

function viaRemoting(address: string, pullsInFlight = 64): MessageLog {
  const connection = {
    kind: 'remoting',
    nameServers: [address],
    clientId: `bench-${Math.random()}`,
    pullsInFlight,
    requestTimeoutMs: PATIENCE_MS,
  } as const;
  return connectRemotingLog(connection, { clock: systemClock, random: Math.random });
}

function viaProxy(): MessageLog {
  const connection = { kind: 'proxy', proxies: [proxyGrpc], clientId: `bench-${Math.random()}`, requestTimeoutMs: PATIENCE_MS } as const;
  return connectProxyLog(connection, { clock: systemClock, random: Math.random, pid: process.pid });
}

/** The broker is done with what was sent. */
async function settled(max: () => Promise<number>): Promise<number> {
  for (let before = -1; ; ) {
    const now = await max();
    if (now === before) return now;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function answers(address: string): Promise<boolean> {
  const [host = '', port] = address.split(':');
  return new Promise((resolve) => {
    const socket = connectSocket(Number(port), host, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function has(command: string): boolean {
  try {
    execFileSync(command, ['-version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
