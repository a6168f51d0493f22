import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { clusterKeys } from '@rocketmq-connect/cluster';
import { EtcdStore } from '@rocketmq-connect/metadata-store/etcd';
import type { Random } from '@rocketmq-connect/sdk';
import { between, seededRandom } from '@rocketmq-connect/sdk/testing';
import { EtcdCluster } from '../support/etcd-cluster.ts';
import { Mesh, type ServiceKind } from '../support/mesh.ts';
import { NumberedFiles } from '../support/numbered-files.ts';
import { OwnershipWatch } from '../support/ownership-watch.ts';
import { rocketmq } from '../support/rocketmq.ts';
import { waitFor } from '../support/standalone.ts';
import { type Cause, causeOf } from './doubles.ts';
import { FAULTS, type Fault, one, PROCESSES, strike } from './faults.ts';
import { Links } from './links.ts';
import { copiesInTopic } from './topic-copies.ts';

export interface ChaosRound {
  readonly faults: readonly Fault[];
  /** So far. */
  readonly lines: number;
  /** Lines that came twice out of the sink in this round, by what explains them. */
  readonly doubled: ReadonlyMap<Cause, number>;
  /** Owners that died or lost their sessions in this round. */
  readonly lostOwners: number;
}

export interface ChaosOptions {
  readonly seed: number;
  readonly rounds: number;
  /** To draw from; default all. */
  readonly faults?: readonly Fault[];
  /** Of etcd; default three. */
  readonly members?: number;
  readonly onRound?: (round: ChaosRound) => void;
}

const TASKS = { in: 3, out: 2 };
const SETTLE_MS = 90_000;
/** What was sent when these struck may be stored, unseen, or arrive long after it was given up. */
const LATE_SENDS: readonly Fault[] = ['kill broker', 'freeze broker', 'silence broker for runner'];

/**
 * Lets faults strike a mesh of real processes on a real etcd and a real RocketMQ while numbered lines flow from files through a topic to files. After
 * each round everything must run again, no line may be missing or out of order, the history of etcd must keep invariants 1 to 4, and what was doubled
 * must be explained. Rejects with what was wrong, and what every process printed.
 */
export async function runChaos({ seed, rounds, faults = FAULTS, members = 3, onRound }: ChaosOptions): Promise<ChaosRound[]> {
  const random = seededRandom(seed);
  const draw = drawFrom(faults, random);
  const world = await ChaosWorld.start(`chaos-${seed}-${Date.now().toString(36)}`, members);
  const done: ChaosRound[] = [];
  let drawn: readonly Fault[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      drawn = Array.from({ length: between(random, 1, 3) }, draw);
      const result = await world.round(drawn, random);
      done.push(result);
      onRound?.(result);
    }
    return done;
  } catch (error) {
    const before = done.map((each) => each.faults.join(', '));
    const message = `seed ${seed}, round ${done.length + 1} (${drawn.join(', ')}): ${(error as Error).message}`;
    throw new Error(`${message}\nbefore: ${before.join(' | ')}\n${world.outputs()}`, { cause: error });
  } finally {
    await world.stop();
  }
}

class ChaosWorld {
  readonly #topic: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'rmqc-chaos-'));
  readonly #etcd: EtcdCluster;
  readonly #store: EtcdStore;
  readonly #mesh: Mesh;
  readonly #lines: NumberedFiles;
  readonly #links: Links;
  readonly #history: OwnershipWatch;
  readonly #brokerAwayAtMs: number[] = [];
  readonly #explained = new Set<string>();

  static async start(name: string, members: number): Promise<ChaosWorld> {
    const etcd = await EtcdCluster.start({ members });
    const store = await EtcdStore.open({ endpoints: etcd.endpoints });
    const world = new ChaosWorld(name, etcd, store, await Links.open(etcd));
    await world.#begin().catch(async (error: unknown) => {
      await world.stop();
      throw error;
    });
    return world;
  }

  private constructor(name: string, etcd: EtcdCluster, store: EtcdStore, links: Links) {
    this.#links = links;
    this.#topic = name;
    this.#etcd = etcd;
    this.#store = store;
    this.#history = new OwnershipWatch(store, clusterKeys(name));
    this.#mesh = new Mesh({ etcd: etcd.endpoints, nameServer: rocketmq.nameServer, cluster: name, folder: this.#folder });
    this.#lines = new NumberedFiles(this.#folder, 'lines', TASKS.in);
  }

  async #begin(): Promise<void> {
    for (const [kind, ids] of Object.entries(PROCESSES) as [ServiceKind, readonly string[]][]) {
      await Promise.all(ids.map((id) => this.#add(kind, id)));
    }
    await this.#mesh.connector('in', {
      'connector.class': 'FileStreamSource',
      file: this.#lines.glob,
      topic: this.#topic,
      'refresh.interval.ms': '200',
      'tasks.max': String(TASKS.in),
    });
    await this.#mesh.connector('out', {
      'connector.class': 'FileStreamSink',
      file: this.#copy,
      topics: this.#topic,
      'tasks.max': String(TASKS.out),
    });
    await this.#mesh.running(TASKS, SETTLE_MS);
  }

  async round(faults: readonly Fault[], random: Random): Promise<ChaosRound> {
    const lostBefore = this.#history.lost.length;
    const victims = {
      mesh: this.#mesh,
      etcd: this.#etcd,
      links: this.#links,
      add: (kind: ServiceKind, id: string) => this.#add(kind, id),
      compact: () => this.#etcd.compact(this.#history.revision),
    };
    this.#lines.keepGrowing();
    for (const fault of faults) {
      await sleep(between(random, 100, 1_500));
      if (LATE_SENDS.includes(fault)) this.#brokerAwayAtMs.push(Date.now());
      await strike(fault, victims, random);
    }
    await this.#mesh.running(TASKS, SETTLE_MS);
    const { disordered } = await this.#lines.arrived(this.#copy, SETTLE_MS);
    assert.equal(disordered, 0, `${disordered} lines came after a later one of their file`);
    const isSeen = async (): Promise<boolean> =>
      (await this.#mesh.units()).every(({ id, token }) => this.#history.ownerOf(id)?.token === token);
    await waitFor(isSeen, 'the owners in the history of etcd are those that the mesh tells of');
    assert.deepEqual(this.#history.violations, []);
    const doubled = await this.#explainDoubles();
    return { faults, lines: this.#lines.total, doubled, lostOwners: this.#history.lost.length - lostBefore };
  }

  outputs(): string {
    return this.#mesh.outputs();
  }

  async stop(): Promise<void> {
    this.#lines.rest();
    this.#links.heal();
    await this.#mesh.stop();
    this.#links.close();
    this.#history.close();
    await this.#store.close();
    await this.#etcd.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #copy(): string {
    return join(this.#folder, 'copy.txt');
  }

  async #add(kind: ServiceKind, id: string): Promise<void> {
    await this.#mesh.add(kind, id, ...this.#links.argsOf(id));
  }

  /** The causes of doubles since the last time, with their counts. Throws where one has none. */
  async #explainDoubles(): Promise<ReadonlyMap<Cause, number>> {
    const doubles = [...this.#lines.doubles(this.#copy)].filter(([line]) => !this.#explained.has(line));
    const causes = new Map<Cause, number>();
    if (doubles.length === 0) return causes;
    const inTopic = await copiesInTopic(rocketmq.nameServer, this.#topic, new Set(doubles.map(([line]) => line)));
    const events = { lost: this.#history.lost, brokerAwayAtMs: this.#brokerAwayAtMs };
    for (const [line, copies] of doubles) {
      const double = { file: Number(line.split(':')[0]), copies, storedAtMs: inTopic.get(line) ?? [] };
      const cause = causeOf(double, events);
      assert.ok(
        cause !== undefined,
        `nothing explains why ${line} is doubled, ${doubles.length} lines are: ${JSON.stringify({ double, events }, bigintAsText)}`,
      );
      causes.set(cause, (causes.get(cause) ?? 0) + 1);
      this.#explained.add(line);
    }
    return causes;
  }
}

/** One after the other in a drawn order, each once before any comes again. */
function drawFrom<T>(all: readonly T[], random: Random): () => T {
  let left: T[] = [];
  return () => {
    if (left.length === 0) left = [...all];
    const drawn = one(random, left);
    left = left.filter((each) => each !== drawn);
    return drawn;
  };
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
