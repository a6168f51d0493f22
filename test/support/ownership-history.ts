import { generationOf } from '@rocketmq-connect/cluster';
import type { WatchEvent } from '@rocketmq-connect/metadata-store';
import { TargetState } from '@rocketmq-connect/proto/common';
import { StoredCommit, StoredOffset, StoredOwner, StoredSinkState, StoredSpec, StoredStatus } from '@rocketmq-connect/proto/storage';

export interface Owner {
  /** `connectors/{connector}` or `tasks/{connector}/{task}`. */
  readonly unit: string;
  readonly connector: string;
  /** '' for a connector instance. */
  readonly generation: string;
  readonly runner: string;
  readonly token: bigint;
}

/**
 * Checks invariants 1 to 4 of docs/architecture.md from what was written to the metadata store, revision by revision, from the first one on: of a
 * simulated store in the moment of each write, of a real etcd from its watch.
 */
export class OwnershipHistory {
  readonly #violated: (invariant: number, message: string) => void;
  readonly #owners = new Map<string, Owner>();
  readonly #lastTokens = new Map<string, bigint>();
  readonly #commits = new Map<string, StoredCommit>();
  /** Of each connector with a published task set. */
  readonly #generations = new Map<string, string>();
  readonly #running = new Set<string>();

  constructor(violated: (invariant: number, message: string) => void) {
    this.#violated = violated;
  }

  get owners(): readonly Owner[] {
    return [...this.#owners.values()];
  }

  ownerOf(unit: string): Owner | undefined {
    return this.owners.find((owner) => owner.unit === unit);
  }

  /** One transaction. */
  apply(events: readonly WatchEvent[]): void {
    const before = this.owners;
    const rows = events.map((event) => ({ event, path: pathOf(event) }));
    for (const { event, path } of rows) this.#onSpecOrPointer(event, path);
    for (const { event, path } of rows) if (path[0] === 'owners') this.#onOwner(event, path);
    for (const { event, path } of rows) this.#onFenced(event, path, before);
  }

  #onSpecOrPointer(event: WatchEvent, [kind, connector = '']: readonly string[]): void {
    if (kind === 'tasksets') {
      if (event.type === 'put') this.#generations.set(connector, generationOf(event.kv.modRevision));
      else this.#generations.delete(connector);
    } else if (kind === 'specs') {
      const stopped = event.type === 'delete' || read(StoredSpec, event).targetState === TargetState.STOPPED;
      if (stopped) this.#running.delete(connector);
      else this.#running.add(connector);
    }
  }

  /** Invariants 1 and 2. */
  #onOwner(event: WatchEvent, [, kind, connector = '', generation = '', task]: readonly string[]): void {
    if (event.type === 'delete') {
      this.#owners.delete(event.key);
      return;
    }
    const isTask = kind === 'tasks';
    const unit = isTask ? `tasks/${connector}/${task}` : `connectors/${connector}`;
    const token = event.kv.createRevision;
    const { runner } = read(StoredOwner, event);
    if (token !== event.kv.modRevision) this.#violated(1, `${unit}: its owner key was overwritten by ${runner}`);
    if (token <= (this.#lastTokens.get(unit) ?? 0n)) this.#violated(1, `${unit}: token ${token} does not grow`);
    this.#lastTokens.set(unit, token);
    this.#owners.set(event.kv.key, { unit, connector, generation: isTask ? generation : '', runner, token });
    if (!this.#running.has(connector)) this.#violated(4, `${unit} was claimed while its connector is STOPPED or deleted`);
    if (!isTask) return;
    for (const other of this.#owners.values()) {
      if (other.connector === connector && other.generation !== '' && other.generation !== generation)
        this.#violated(2, `${unit} of generation ${generation} is owned beside ${other.unit} of ${other.generation}`);
    }
    if (this.#generations.get(connector) !== generation)
      this.#violated(2, `${unit} was claimed in generation ${generation}, which is not the published one`);
  }

  /** Invariants 3 and 4. */
  #onFenced(event: WatchEvent, path: readonly string[], before: readonly Owner[]): void {
    const [kind, connector = ''] = path;
    if (event.type === 'delete') {
      if (kind === 'commits') this.#commits.delete(event.key);
      if (kind !== 'offsets') return;
      const owner = before.find((one) => one.connector === connector && one.generation !== '');
      if (owner !== undefined) this.#violated(4, `offsets of ${connector} are deleted while ${owner.runner} owns ${owner.unit}`);
      return;
    }
    switch (kind) {
      case 'commits': {
        const commit = read(StoredCommit, event);
        const unit = `tasks/${connector}/${path[2]}`;
        this.#isOwners(unit, commit.token, before, 'a commit');
        const last = this.#commits.get(event.kv.key);
        if (last?.token === commit.token && commit.sequence <= last.sequence)
          this.#violated(3, `commit ${commit.sequence} of ${unit} lands after ${last.sequence}`);
        this.#commits.set(event.kv.key, commit);
        return;
      }
      case 'status':
        return this.#isOwners(path.slice(1).join('/'), read(StoredStatus, event).token, before, 'a status');
      case 'offsets':
        return this.#isOfAnOwner(connector, read(StoredOffset, event).token, before, event.kv.key);
      case 'sinkstates':
        return this.#isOfAnOwner(connector, read(StoredSinkState, event).token, before, event.kv.key);
    }
  }

  #isOwners(unit: string, token: bigint, before: readonly Owner[], what: string): void {
    const owner = before.find((one) => one.unit === unit);
    if (owner?.token !== token) this.#violated(3, `${what} of ${unit} with token ${token}; the owner's is ${owner?.token ?? 'none'}`);
  }

  #isOfAnOwner(connector: string, token: bigint, before: readonly Owner[], key: string): void {
    // What a user altered has no token.
    if (token === 0n && !before.some((owner) => owner.connector === connector && owner.generation !== '')) return;
    if (before.some((owner) => owner.connector === connector && owner.token === token)) return;
    this.#violated(3, `${key} was written with token ${token}, which no owner of ${connector} has`);
  }
}

/** Below the cluster's prefix. */
function pathOf(event: WatchEvent): readonly string[] {
  return (event.type === 'put' ? event.kv.key : event.key).split('/').slice(3);
}

function read<T>(type: { fromJSON(json: unknown): T }, event: Extract<WatchEvent, { type: 'put' }>): T {
  return type.fromJSON(JSON.parse(event.kv.value));
}
