import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { clusterKeys, decodeStored } from '@rocketmq-connect/cluster';
import { GrpcRpc } from '@rocketmq-connect/mesh/grpc';
import { Mailbox } from '@rocketmq-connect/mesh/streams';
import { EtcdStore } from '@rocketmq-connect/metadata-store/etcd';
import { type CommitRequest, CommitServiceDefinition } from '@rocketmq-connect/proto/commit';
import { UnitState } from '@rocketmq-connect/proto/common';
import { StoredStatus } from '@rocketmq-connect/proto/storage';
import { EtcdCluster } from '../test/support/etcd-cluster.ts';
import { Mesh } from '../test/support/mesh.ts';
import { cpuSecondsOf } from '../test/support/process-figures.ts';
import { waitFor } from '../test/support/standalone.ts';
import { UnitPauses } from '../test/support/unit-pauses.ts';

/**
 * What a cluster of real processes does, on an etcd of its own and a RocketMQ that runs: `npm run bench failover [-- --only kill,add,create,
 * commits,placement] [--ttls 10000,3000] [--name-server 127.0.0.1:19876] [--connectors 500] [--tasks 1000]`.
 */
const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    only: { type: 'string', default: 'placement,kill,add,create,commits' },
    ttls: { type: 'string', default: '10000,3000' },
    'name-server': { type: 'string', default: '127.0.0.1:19876' },
    connectors: { type: 'string', default: '500' },
    tasks: { type: 'string', default: '1000' },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'rmqc-failover-'));
const etcd = await EtcdCluster.start();
const store = await EtcdStore.open({ endpoints: etcd.endpoints });
let clusters = 0;
try {
  const wanted = values.only.split(',');
  if (wanted.includes('placement')) await import('./placement.ts');
  if (wanted.includes('kill')) for (const ttl of values.ttls.split(',')) await measured('kill', () => killRunner(Number(ttl)));
  if (wanted.includes('add')) await measured('add', addRunner);
  if (wanted.includes('create')) await measured('create', () => createConnectors(Number(values.connectors)));
  if (wanted.includes('commits')) await measured('commits', () => commitOffsets(Number(values.tasks)));
} finally {
  await store.close();
  await etcd.stop();
  rmSync(folder, { recursive: true, force: true });
}

/** What goes wrong with one figure keeps no other from being taken. */
async function measured(what: string, measure: () => Promise<void>): Promise<void> {
  await measure().catch((error: Error) => {
    print(`${what} could not be measured`, error.message.slice(0, 500));
    process.exitCode = 1;
  });
}

/** Two runners with 40 tasks each, of one connector that follows 80 files; one is killed. */
async function killRunner(ttlMs: number): Promise<void> {
  const { mesh, states } = await startMesh(ttlMs, 2);
  try {
    await eightyTasks(mesh);
    // A scheduler that has just come awaits runners that may just be coming too.
    await new Promise((resolve) => setTimeout(resolve, ttlMs + 10_000));
    let lost: string[] = [];
    const isEven = async (): Promise<boolean> => {
      const units = await mesh.running({ files: 80 }, 120_000);
      lost = units.filter(({ task, ownerRunner }) => task >= 0 && ownerRunner === 't1').map(({ id }) => id);
      return lost.length === 40;
    };
    await waitFor(isEven, 'each runner has 40 tasks', 120_000);
    const killedAt = performance.now();
    await mesh.get('t1').signal('SIGKILL');
    const isElsewhere = (id: string): boolean => {
      const state = states.get(id);
      return state !== undefined && state.runner === 't2' && state.runningAtMs > killedAt;
    };
    await waitFor(() => lost.every(isElsewhere), 'all run elsewhere', ttlMs + 60_000);
    const times = lost.map((id) => (states.get(id)?.runningAtMs ?? 0) - killedAt).sort((a, b) => a - b);
    print(
      `kill -9 of a runner with ${lost.length} tasks, lease of ${ttlMs / 1000} s: first, last RUNNING elsewhere after`,
      `${seconds(times[0])} s, ${seconds(times.at(-1))} s`,
    );
  } finally {
    await mesh.stop();
  }
}

/** A third runner comes to two with 80 tasks. */
async function addRunner(): Promise<void> {
  const { mesh, keys } = await startMesh(10_000, 2);
  try {
    await eightyTasks(mesh);
    const before = new Map((await mesh.running({ files: 80 }, 120_000)).map((unit) => [unit.id, unit]));
    const pauses = new UnitPauses(store, keys, (await store.get(keys.layout)).revision + 1n);
    await mesh.add('task-runner', 't3');
    const isEven = async (): Promise<boolean> =>
      (await mesh.running({ files: 80 })).filter(({ ownerRunner }) => ownerRunner === 't3').length >= 27;
    await waitFor(isEven, 'the load is even', 120_000);
    const after = await mesh.running({ files: 80 });
    const moved = after.filter(({ id, token }) => before.get(id)?.token !== token);
    const elsewhere = moved.filter(({ ownerRunner }) => ownerRunner !== 't3');
    print('a third runner: units moved, of them not to it', `${moved.length} of ${after.length}, ${elsewhere.length}`);
    pauses.close();
    for (const [what, part] of [
      ['pause of a moved unit, STOPPING to RUNNING, ms', 'totalMs'],
      ['  of it: stop and last commit', 'stopMs'],
      ['  of it: claim', 'claimMs'],
      ['  of it: start', 'startMs'],
    ] as const) {
      const times = pauses.all.map((pause) => pause[part]).sort((a, b) => a - b);
      print(what, `p50 ${at(times, 0.5)}  p99 ${at(times, 0.99)}  max ${at(times, 1)}`);
    }
  } finally {
    await mesh.stop();
  }
}

/** Connectors of one task each, four requests at a time. */
async function createConnectors(count: number): Promise<void> {
  const { mesh } = await startMesh(10_000, 2);
  try {
    const before = await etcdLoad();
    const startedAt = performance.now();
    let next = 0;
    let again = 0;
    const create = async (): Promise<void> => {
      for (let i = next++; i < count; i = next++) {
        const config = { 'connector.class': 'FileStreamSource', file: join(folder, `none-${i}.txt`), topic: 'rmqc-bench' };
        // As a script of a user would: what is away now is asked again, and what was made after all is there then.
        for (let made = false; !made; again += made ? 0 : 1) {
          made = await mesh.connector(`c-${i}`, config).then(
            () => true,
            (error: Error) => {
              if (!/answered (409|503)/.test(error.message)) throw error;
              return error.message.includes('answered 409');
            },
          );
        }
      }
    };
    await Promise.all(Array.from({ length: 4 }, create));
    const createdMs = performance.now() - startedAt;
    const names = Array.from({ length: count }, (_, i) => `c-${i}`);
    await mesh.running(Object.fromEntries(names.map((name) => [name, 1])), 600_000);
    const runningMs = performance.now() - startedAt;
    const load = await etcdLoad();
    print(`${count} connectors: created, all RUNNING after; asked again for`, `${seconds(createdMs)} s, ${seconds(runningMs)} s; ${again}`);
    print('etcd meanwhile: writes, writes a connector, CPU s, watch events', loadText(before, load, count));
  } finally {
    await mesh.stop();
  }
}

/** Tasks that each commit one offset every five seconds, over ten streams, for thirty seconds. */
async function commitOffsets(count: number): Promise<void> {
  const { mesh, keys } = await startMesh(10_000, 0);
  const rpc = new GrpcRpc();
  try {
    const generation = '0000000000000001';
    const lease = await store.grantLease(600_000);
    const tokens: bigint[] = [];
    for (let task = 0; task < count; task++) {
      const key = keys.taskOwner('bench', generation, task);
      const value = '{"runner":"bench","session":"bench"}';
      tokens.push((await store.txn({ compare: [], then: [{ op: 'put', key, value, leaseId: lease.id }] })).revision);
    }
    const client = rpc.client(CommitServiceDefinition, () => [mesh.get('c1').grpc]);
    const streams = Array.from({ length: 10 }, () => new Mailbox<CommitRequest>());
    const sentAt = new Map<number, number>();
    const latencies: number[] = [];
    const reading = streams.map(async (requests) => {
      for await (const { task, result } of client.commit(requests)) {
        if (result !== 'COMMIT_RESULT_OK') throw new Error(`a commit was answered ${result}`);
        latencies.push(performance.now() - (sentAt.get(task) ?? 0));
      }
    });
    const pid = mesh.get('c1').child.pid ?? 0;
    const before = await etcdLoad();
    const cpuBefore = cpuSecondsOf(pid);
    const startedAt = performance.now();
    const roundMs = 5_000;
    for (let sequence = 1n; sequence <= 6n; sequence++) {
      for (let task = 0; task < count; task++) {
        const due = startedAt + (Number(sequence) - 1 + task / count) * roundMs;
        const waitMs = due - performance.now();
        if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
        sentAt.set(task, performance.now());
        streams[task % streams.length]?.put(commitOf(task, generation, tokens[task] ?? 0n, sequence));
      }
    }
    await waitFor(() => latencies.length === count * 6, 'every commit is answered', 60_000);
    const elapsed = (performance.now() - startedAt) / 1000;
    const load = await etcdLoad();
    for (const requests of streams) requests.end();
    await Promise.all(reading);
    latencies.sort((a, b) => a - b);
    print(
      `offset commits of ${count} tasks, one every 5 s: commits/s, etcd writes/s`,
      `${Math.round((count * 6) / elapsed)}, ${((load.writes - before.writes) / elapsed).toFixed(1)}`,
    );
    print(
      '  CPU of a core: config-service, etcd',
      `${percent((cpuSecondsOf(pid) - cpuBefore) / elapsed)}, ${percent((load.cpu - before.cpu) / elapsed)}`,
    );
    print('  answered after, ms', `p50 ${at(latencies, 0.5)}  p99 ${at(latencies, 0.99)}  max ${at(latencies, 1)}`);
  } finally {
    await rpc.close();
    await mesh.stop();
  }
}

function commitOf(task: number, generation: string, token: bigint, sequence: bigint): CommitRequest {
  const offset = {
    partitionJson: `{"file":"f-${task}"}`,
    offsetJson: `{"position":${sequence}}`,
    queue: undefined,
    position: 0n,
    token,
    plugin: '',
  };
  return {
    connector: 'bench',
    task,
    generation,
    token,
    sequence,
    offsets: [offset],
    sinkStates: {},
    marks: [],
    topics: [],
    release: false,
    releaseStatus: undefined,
    traceparent: '',
  };
}

/** Who was last seen to run a unit, since when, monotonic ms. */
interface Seen {
  readonly runner: string;
  readonly runningAtMs: number;
}

/** A mesh of its own cluster, and what its units' statuses were seen to be. */
async function startMesh(ttlMs: number, runners: number) {
  const cluster = `failover-${++clusters}`;
  const keys = clusterKeys(cluster);
  const args = ['--lease-ttl-ms', String(ttlMs), '--offsets-commit-interval-ms', '1000'];
  const mesh = new Mesh({ etcd: etcd.endpoints, nameServer: values['name-server'], cluster, folder, args });
  const states = new Map<string, Seen>();
  const { revision } = await store.get(keys.layout);
  store.watch(keys.statuses, revision + 1n, {
    onEvents: (events) => {
      for (const event of events) {
        if (event.type === 'delete') continue;
        const unit = event.kv.key.slice(keys.statuses.start.length);
        const { state, runner } = decodeStored(StoredStatus, event.kv);
        if (state === UnitState.RUNNING) states.set(unit, { runner, runningAtMs: performance.now() });
      }
    },
    onEnd: (error) => print('a watch of the bench ended', error.message),
  });
  await mesh.start({ 'config-service': 1, scheduler: 1, 'task-runner': runners, gateway: 1 });
  return { mesh, keys, states };
}

async function eightyTasks(mesh: Mesh): Promise<void> {
  const name = `files-${clusters}`;
  for (let i = 0; i < 80; i++) writeFileSync(join(folder, `${name}-${i}.txt`), 'a line\n');
  await mesh.connector('files', {
    'connector.class': 'FileStreamSource',
    file: join(folder, `${name}-*.txt`),
    topic: `rmqc-bench-${Date.now().toString(36)}`,
    'tasks.max': '80',
  });
  await mesh.running({ files: 80 }, 120_000);
}

interface EtcdLoad {
  readonly writes: number;
  readonly cpu: number;
  readonly events: number;
}

async function etcdLoad(): Promise<EtcdLoad> {
  const text = await (await fetch(`http://${etcd.endpoints[0]}/metrics`)).text();
  const metric = (name: string): number => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1] ?? 0);
  return {
    writes: metric('etcd_server_proposals_committed_total'),
    cpu: metric('process_cpu_seconds_total'),
    events: metric('etcd_debugging_mvcc_events_total'),
  };
}

function loadText(before: EtcdLoad, after: EtcdLoad, count: number): string {
  const writes = after.writes - before.writes;
  return `${writes}, ${(writes / count).toFixed(1)}, ${(after.cpu - before.cpu).toFixed(1)}, ${after.events - before.events}`;
}

function at(sorted: readonly number[], share: number): string {
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(0);
}

function seconds(ms: number | undefined): string {
  return ((ms ?? 0) / 1000).toFixed(1);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

function print(name: string, value: string): void {
  process.stdout.write(`${name.padEnd(100)} ${value}\n`);
}
