import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { clusterKeys } from '@rocketmq-connect/cluster';
import { EtcdStore } from '@rocketmq-connect/metadata-store/etcd';
import { EtcdCluster } from './etcd-cluster.ts';
import { Mesh, type ServiceKind } from './mesh.ts';
import { OwnershipWatch } from './ownership-watch.ts';
import { PacedLines } from './paced-lines.ts';
import { rocketmq } from './rocketmq.ts';
import { type Pause, UnitPauses } from './unit-pauses.ts';

const TASKS = { in: 4, out: 2 };
/** A scheduler that has just come awaits runners that may just be coming too. */
const SETTLE_MS = 15_000;
const READ_EVERY_MS = 50;

export interface RollingFigures {
  readonly lines: number;
  readonly perSecond: number;
  /** From the write of a line to its arrival, ascending. */
  readonly latenciesMs: readonly number[];
}

/**
 * Two config-services, two schedulers, three task runners and two gateways, each a process, with lines at a constant rate on their way from four files
 * through a topic of a real RocketMQ to two files, while its processes are replaced.
 */
export class RollingCluster {
  readonly mesh: Mesh;
  readonly folder: string;
  readonly name: string;
  readonly #etcd: EtcdCluster;
  readonly #store: EtcdStore;
  readonly #owners: OwnershipWatch;
  readonly #lines: PacedLines;
  readonly #copy: string;
  #pauses: UnitPauses | undefined;
  #replaced = '';
  /** Resolves to what was answered wrong, when reading ends. */
  #reading: Promise<readonly string[]> | undefined;
  readonly #readNoMore = new AbortController();

  /** `bin`: the script of `rocketmq-connect` to begin with; by default that of this tree. */
  static async start(linesPerSecond: number, bin?: string): Promise<RollingCluster> {
    const etcd = await EtcdCluster.start();
    const cluster = new RollingCluster(etcd, await EtcdStore.open({ endpoints: etcd.endpoints }), linesPerSecond);
    if (bin !== undefined) cluster.mesh.bin = bin;
    await cluster.#begin().catch(async (error: Error) => {
      await cluster.stop();
      throw cluster.withOutputs(error);
    });
    return cluster;
  }

  private constructor(etcd: EtcdCluster, store: EtcdStore, linesPerSecond: number) {
    this.#etcd = etcd;
    this.#store = store;
    this.name = `rolling-${Date.now().toString(36)}`;
    this.folder = mkdtempSync(join(tmpdir(), 'rmqc-rolling-'));
    this.#owners = new OwnershipWatch(store, clusterKeys(this.name));
    const args = ['--lease-ttl-ms', '10000', '--offsets-commit-interval-ms', '1000'];
    const { name: cluster, folder } = this;
    this.mesh = new Mesh({ etcd: etcd.endpoints, nameServer: rocketmq.nameServer, cluster, folder, args });
    this.#copy = join(folder, 'copy.txt');
    this.#lines = new PacedLines(folder, 'lines', TASKS.in, linesPerSecond, [this.#copy, `${this.#copy}.task-1`]);
  }

  async #begin(): Promise<void> {
    const { mesh, name: topic } = this;
    await mesh.start({ 'config-service': 2, scheduler: 2, 'task-runner': 3, gateway: 2 });
    const source = { 'connector.class': 'FileStreamSource', file: this.#lines.lines.glob, topic, 'tasks.max': String(TASKS.in) };
    await mesh.connector('in', source);
    const sink = { 'connector.class': 'FileStreamSink', file: this.#copy, topics: topic, 'tasks.max': String(TASKS.out) };
    await mesh.connector('out', sink);
    await mesh.running(TASKS);
    this.#lines.start();
    await sleep(SETTLE_MS);
    this.#pauses = new UnitPauses(this.#store, clusterKeys(this.name), this.#owners.revision + 1n);
    this.#reading = this.#read();
  }

  /** All the time, gateways that are not being replaced are asked for what config-services and schedulers answer. */
  async #read(): Promise<readonly string[]> {
    const wrong: string[] = [];
    while (!this.#readNoMore.signal.aborted) {
      for (const gateway of this.mesh.all('gateway')) {
        for (const path of ['/connectors/in/status', '/v1/connectors/out:explain']) {
          await this.mesh.request('GET', path, undefined, gateway).catch((error: Error) => {
            // It may have been told to end meanwhile.
            if (gateway.id !== this.#replaced) wrong.push(`${gateway.id}: ${error.message}`);
          });
        }
      }
      await sleep(READ_EVERY_MS);
    }
    return wrong;
  }

  /** Asks a process to end (SIGTERM) and starts it again, as what `mesh.bin` is now; resolves when everything runs. */
  async replace(kind: ServiceKind, id: string): Promise<void> {
    this.#replaced = id;
    assert.equal(await this.mesh.get(id).signal('SIGTERM'), 0, id);
    await this.mesh.add(kind, id);
    await this.mesh.running(TASKS);
  }

  /** Of tasks that another runner took over, so far. */
  get pauses(): readonly Pause[] {
    return (this.#pauses?.all ?? []).filter(({ unit }) => Object.keys(TASKS).some((name) => unit.startsWith(`tasks/${name}/`)));
  }

  /** Waits for the last line. Rejects unless each has come once, in order, nothing ever had two owners, and REST has always answered. */
  async finish(): Promise<RollingFigures> {
    this.#readNoMore.abort();
    assert.deepEqual(await this.#reading, []);
    const { perSecond } = this.#lines;
    const latenciesMs = await this.#lines.stop();
    const { lines } = this.#lines;
    assert.deepEqual(lines.faults(this.#copy), { missing: 0, doubled: 0, disordered: 0 });
    assert.deepEqual([this.#owners.violations, this.#owners.lost], [[], []]);
    return { lines: lines.total, perSecond, latenciesMs };
  }

  /** An error with what every process printed. */
  withOutputs(error: Error): Error {
    return new Error(`${error.message}\n${this.mesh.outputs()}`, { cause: error });
  }

  async stop(): Promise<void> {
    this.#readNoMore.abort();
    await this.#reading;
    this.#lines.rest();
    this.#pauses?.close();
    await this.mesh.stop();
    this.#owners.close();
    await this.#store.close();
    await this.#etcd.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** `p50 / p90 / max` of how long tasks did not run. */
export function pauseText(pauses: readonly Pause[]): string {
  const totals = pauses.map(({ totalMs }) => totalMs).sort((a, b) => a - b);
  return quantiles(totals, [0.5, 0.9, 1]);
}

/** A pause with its parts, in whole milliseconds. */
export function showPause(pause: Pause): string {
  return JSON.stringify(pause, (_, value) => (typeof value === 'number' ? Math.round(value) : value));
}

/** `p50 / p99 / max` and the like of figures in ascending order. */
export function quantiles(sorted: readonly number[], shares: readonly number[]): string {
  const of = (share: number): string => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(0);
  return shares.map(of).join(' / ');
}
