/**
 * What the offset commits of 1,000 tasks cost an etcd and its client: `scripts/etcd up`, then `npm run bench etcd [endpoints]`. CPU of etcd is
 * what its /metrics say. Client and server share the machine and the disk: read the ratios.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { clusterKeys, encodeStored } from '@rocketmq-connect/cluster';
import { CommitQueue } from '@rocketmq-connect/config-service/commit-queue';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import { GrpcRpc } from '@rocketmq-connect/mesh/grpc';
import type { Operation } from '@rocketmq-connect/metadata-store';
import { EtcdStore } from '@rocketmq-connect/metadata-store/etcd';
import { CommitRequest, CommitResult } from '@rocketmq-connect/proto/commit';
import { PluginHostServiceDefinition } from '@rocketmq-connect/proto/plugin';
import { StoredOffset, StoredOwner, StoredSpec } from '@rocketmq-connect/proto/storage';
import { Loggers } from '@rocketmq-connect/telemetry/loggers';
import { createLogger } from '@rocketmq-connect/telemetry/pino';
import { noTracer } from '@rocketmq-connect/tracing';

const TASKS = 1_000;
const CONNECTOR = 'many-tasks';
const GENERATION = '0000000000000001';
const endpoints = (process.argv[2] ?? process.env['ETCD_ENDPOINTS'] ?? '127.0.0.1:22379').split(',');

const store = await EtcdStore.open({ endpoints, callTimeoutMs: 10_000 });
const keys = clusterKeys(`bench-${process.pid}`);
const rpc = new GrpcRpc();
const queue = new CommitQueue({
  store,
  keys,
  clock: systemClock,
  random: Math.random,
  log: createLogger({ loggers: new Loggers('warn', Date.now), pretty: false }),
  rpc,
  tracer: noTracer,
  runnerEndpoints: () => [],
  allowLiteralSecrets: false,
  identity: 'bench',
  pluginHost: rpc.client(PluginHostServiceDefinition, () => []),
});
const tasks = Array.from({ length: TASKS }, (_, task) => task);
let sequence = 0n;

// The system clock's timers keep no process alive.
const alive = setInterval(() => {}, 1_000);
try {
  const tokens = await ownTasks();
  console.log(`offsets of ${TASKS} tasks, etcd at ${endpoints.join(', ')}`);
  console.log('way                               offsets/s   transactions/s   ms until all are stored   µs CPU an offset: client   etcd');
  await measure('single puts, 64 in flight', 3, () =>
    inFlight(
      64,
      tasks.map((task) => () => write([offsetOf(task)])),
    ),
  );
  await measure('transactions of 100 puts', 3, async () => {
    for (let from = 0; from < TASKS; from += 100) await write(tasks.slice(from, from + 100).map(offsetOf));
  });
  await measure('fenced commits, all at once', 3, async () => {
    sequence++;
    await Promise.all(tasks.map((task) => commit(task, tokens[task] ?? 0n)));
  });
  // As tasks do that began at any time: each every 5 s.
  const paced = await measure('fenced commits, each every 5 s', 2, async () => {
    sequence++;
    await Promise.all(tasks.map((task) => sleep((task / TASKS) * 5_000).then(() => commit(task, tokens[task] ?? 0n))));
  });
  console.log(
    `1,000 tasks that commit every 5 s: ${paced.clientCores.toFixed(1)} % of a core here, ${paced.etcdCores.toFixed(1)} % in etcd`,
  );
} finally {
  clearInterval(alive);
  await write([{ op: 'deleteRange', range: keys.root }]);
  await store.close();
  await rpc.close();
}

/** Middle of the rounds. */
async function measure(name: string, rounds: number, run: () => Promise<unknown>) {
  const all: { readonly ms: number; readonly clientUs: number; readonly etcdUs: number; readonly writes: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    const before = { revision: await revision(), etcdUs: await etcdCpuUs(), cpu: process.cpuUsage(), ms: performance.now() };
    await run();
    const ms = performance.now() - before.ms;
    const { user, system } = process.cpuUsage(before.cpu);
    all.push({
      ms,
      clientUs: user + system,
      etcdUs: (await etcdCpuUs()) - before.etcdUs,
      writes: Number((await revision()) - before.revision),
    });
  }
  const middle = <K extends keyof (typeof all)[number]>(key: K): number =>
    all.map((each) => each[key]).sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0;
  const [ms, clientUs, etcdUs, writes] = [middle('ms'), middle('clientUs'), middle('etcdUs'), middle('writes')];
  const columns = [(TASKS / ms) * 1_000, (writes / ms) * 1_000, ms, clientUs / TASKS, etcdUs / TASKS].map((figure) => figure.toFixed(0));
  const widths = [9, 17, 26, 27, 7];
  console.log(`${name.padEnd(34)}${columns.map((figure, i) => figure.padStart(widths[i] ?? 0)).join('')}`);
  return { clientCores: clientUs / ms / 10, etcdCores: etcdUs / ms / 10 };
}

function offsetOf(task: number): Operation {
  const value = encodeStored(
    StoredOffset,
    StoredOffset.create({ partitionJson: partitionOf(task), offsetJson: `{"position":${sequence}}` }),
  );
  return { op: 'put', key: keys.offset(CONNECTOR, `plain-${task}`), value };
}

function partitionOf(task: number): string {
  return `{"file":"/var/log/application-${task}.log"}`;
}

async function write(then: readonly Operation[]): Promise<void> {
  await store.txn({ compare: [], then });
}

async function commit(task: number, token: bigint): Promise<void> {
  const offsets = [StoredOffset.create({ partitionJson: partitionOf(task), offsetJson: `{"position":${sequence}}` })];
  const request = CommitRequest.create({ connector: CONNECTOR, task, generation: GENERATION, token, sequence, offsets });
  const { result, message } = await queue.submit(request);
  if (result !== CommitResult.OK) throw new Error(`${result}: ${message}`);
}

/** Owner keys of all tasks; their tokens. */
async function ownTasks(): Promise<readonly bigint[]> {
  await write([
    { op: 'put', key: keys.spec(CONNECTOR), value: encodeStored(StoredSpec, StoredSpec.create({ plugin: 'FileStreamSource' })) },
  ]);
  const value = encodeStored(StoredOwner, { runner: 'r1', session: 's1' });
  const tokens: bigint[] = [];
  for (let from = 0; from < TASKS; from += 100) {
    const then = tasks
      .slice(from, from + 100)
      .map((task): Operation => ({ op: 'put', key: keys.taskOwner(CONNECTOR, GENERATION, task), value }));
    const { revision: token } = await store.txn({ compare: [], then });
    for (const _ of then) tokens.push(token);
  }
  return tokens;
}

async function inFlight(count: number, calls: readonly (() => Promise<void>)[]): Promise<void> {
  const left = calls[Symbol.iterator]();
  const work = async (): Promise<void> => {
    for (const call of left) await call();
  };
  await Promise.all(Array.from({ length: count }, work));
}

async function revision(): Promise<bigint> {
  return (await store.get(keys.layout)).revision;
}

async function etcdCpuUs(): Promise<number> {
  let seconds = 0;
  for (const endpoint of endpoints) {
    const text = await (await fetch(`http://${endpoint}/metrics`)).text();
    seconds += Number(/^process_cpu_seconds_total (\S+)$/m.exec(text)?.[1] ?? 0);
  }
  return seconds * 1e6;
}
