import type { ClusterKeys } from '@rocketmq-connect/cluster';
import type { QueueAddress } from '@rocketmq-connect/message-log';
import { keyRange, type WatchEvent } from '@rocketmq-connect/metadata-store';
import type { SimulatedStore } from '@rocketmq-connect/metadata-store/simulated';
import type { HostEvent } from '@rocketmq-connect/pipeline/host-protocol';
import { StoredOffset, StoredSinkState, StoredSpec, StoredTaskSet } from '@rocketmq-connect/proto/storage';
import type { Clock } from '@rocketmq-connect/sdk';
import { type Owner, OwnershipHistory } from '../support/ownership-history.ts';
import type { HostObserver, ObservedHost } from './hosts.ts';
import type { LogIndex } from './log-index.ts';
import type { OutsideSink } from './outside.ts';

export interface InvariantsOptions {
  readonly store: SimulatedStore;
  readonly keys: ClusterKeys;
  readonly clock: Clock;
  readonly sink: OutsideSink;
  readonly index: LogIndex;
  readonly violated: (message: string) => void;
}

/** A process that was suspended notices what it missed within this time after it woke. */
const NOTICE_MS = 50;

/** Checks the invariants of docs/architecture.md at each revision of the store and at each thing that a unit's code does. */
export class Invariants implements HostObserver {
  readonly #options: InvariantsOptions;
  readonly #history = new OwnershipHistory((invariant, message) => this.#violated(invariant, message));
  /** Positions and offsets: `{connector} {partition}` → number. */
  readonly #positions = new Map<string, number>();
  readonly #running = new Map<string, { readonly host: ObservedHost; readonly unit: string }>();

  constructor(options: InvariantsOptions) {
    this.#options = options;
    options.store.observe((events, revision) => this.#onRevision(events, revision));
  }

  /** Units whose code runs now, by host. */
  get running(): readonly { readonly host: ObservedHost; readonly unit: string }[] {
    return [...this.#running.values()];
  }

  ownerOf(unit: string): Owner | undefined {
    return this.#history.ownerOf(unit);
  }

  opened(host: ObservedHost, unit: string): void {
    for (const other of this.#running.values()) {
      if (other.unit !== unit || this.#isExcused(other.host)) continue;
      this.#violated(1, `${unit} starts in ${host.id} while it runs in ${other.host.id}`);
    }
    this.#running.set(`${host.id} ${unit}`, { host, unit });
  }

  runs(host: ObservedHost, unit: string, what: string): void {
    const late = isLate(host);
    const hasEffect = what === 'put' || what === 'open';
    if (late && (hasEffect || !this.#isExcused(host))) this.#violated(6, `${unit} in ${host.id}: ${what} after the session's deadline`);
    if (late && !hasEffect) return;
    const owner = this.ownerOf(unit);
    if (owner?.runner !== host.runner) this.#violated(1, `${unit} in ${host.id}: ${what}, and the owner is ${owner?.runner ?? 'nobody'}`);
  }

  closed(host: ObservedHost, unit: string): void {
    this.#running.delete(`${host.id} ${unit}`);
  }

  sends(host: ObservedHost, queue: QueueAddress): void {
    if (!isLate(host)) return;
    this.#violated(6, `${host.id} sends to queue ${queue.queue} after the session's deadline`);
  }

  says(host: ObservedHost, event: HostEvent): void {
    if (event.type !== 'stats') return;
    for (const [unit, c] of Object.entries(event.counters)) {
      const settled = c.acknowledged + c.deduplicated + c.filtered + c.deadLettered + c.skipped + c.inFlight;
      if (c.polled !== settled) this.#violated(9, `${unit} in ${host.id}: polled ${c.polled}, accounted for ${settled}`);
    }
  }

  died(host: ObservedHost): void {
    for (const [id, running] of this.#running) if (running.host === host) this.#running.delete(id);
  }

  #onRevision(events: readonly WatchEvent[], revision: bigint): void {
    const before = this.#history.owners;
    this.#history.apply(events);
    for (const event of events) {
      const path = (event.type === 'put' ? event.kv.key : event.key).split('/').slice(3);
      const connector = path[1] ?? '';
      if (event.type === 'delete') this.#onDelete(path);
      else if (path[0] === 'offsets') this.#onOffset(connector, event.kv.value);
      else if (path[0] === 'tasksets') this.#onTaskSet(connector, event.kv.value, revision);
    }
    const tokens = new Set(this.#history.owners.map(({ token }) => token));
    for (const owner of before) if (!tokens.has(owner.token)) this.#onReleased(owner);
  }

  #onReleased(owner: Owner): void {
    for (const { host, unit } of this.#running.values()) {
      if (unit !== owner.unit || host.runner !== owner.runner || this.#isExcused(host)) continue;
      this.#violated(7, `${unit} runs in ${host.id}, and its owner key is gone`);
    }
  }

  /** Invariants 4 and 5. */
  #onOffset(connector: string, value: string): void {
    const { queue, position, partitionJson, offsetJson } = StoredOffset.fromJSON(JSON.parse(value));
    const of = queue === undefined ? partitionJson : `queue ${queue.queue}`;
    const at = queue === undefined ? Number(JSON.parse(offsetJson).n) : Number(position);
    const id = `${connector} ${of}`;
    const last = this.#positions.get(id) ?? 0;
    if (at < last) this.#violated(4, `the offset of ${id} goes back from ${last} to ${at}`);
    this.#positions.set(id, at);
    if (queue === undefined) {
      const { stream } = JSON.parse(partitionJson);
      const durable = this.#options.index.durable(stream);
      if (at > durable)
        this.#violated(5, `offset ${at} of stream ${stream} is committed, and ${durable} of its records are durable in the log`);
      return;
    }
    const { store, keys, sink } = this.#options;
    const [spec] = store.peek(keyRange(keys.spec(connector)));
    const [state] = store.peek(keyRange(keys.sinkState(connector, `queue-${queue.queue}`)));
    const length = state === undefined ? 0 : Number(JSON.parse(StoredSinkState.fromJSON(JSON.parse(state.value)).stateJson));
    if (length !== at) this.#violated(5, `position ${at} of ${id} is committed with a state that says ${length}`);
    if (spec === undefined) return;
    const { flushed } = sink.file(Number(StoredSpec.fromJSON(JSON.parse(spec.value)).startTimeMs), queue.queue);
    if (flushed < at) this.#violated(5, `position ${at} of ${id} is committed, and the sink has flushed ${flushed}`);
  }

  /** Invariant 2: whole, or not at all. */
  #onTaskSet(connector: string, value: string, revision: bigint): void {
    const { store, keys } = this.#options;
    const { publication, chunks, tasks } = StoredTaskSet.fromJSON(JSON.parse(value));
    const [spec] = store.peek(keyRange(keys.spec(connector)));
    const most = spec === undefined ? 0 : Number(StoredSpec.fromJSON(JSON.parse(spec.value)).config['tasks.max']);
    if (tasks > most) this.#violated(2, `the task set of ${connector} at ${revision} has ${tasks} tasks, of ${most} that it may have`);
    for (let chunk = 0; chunk < chunks; chunk++) {
      if (store.peek(keyRange(keys.taskConfig(connector, publication, chunk))).length === 0)
        this.#violated(2, `the task set of ${connector} at ${revision} lacks chunk ${chunk}`);
    }
  }

  #onDelete(path: readonly string[]): void {
    const connector = path[1] ?? '';
    if (path[0] === 'taskconfigs') {
      const [pointer] = this.#options.store.peek(keyRange(this.#options.keys.taskSet(connector)));
      const published = pointer === undefined ? '' : StoredTaskSet.fromJSON(JSON.parse(pointer.value)).publication;
      if (published === path[2]) this.#violated(2, `a chunk of the published task set of ${connector} is deleted`);
    }
    if (path[0] !== 'offsets') return;
    for (const id of [...this.#positions.keys()]) if (id.startsWith(`${connector} `)) this.#positions.delete(id);
  }

  /** It is suspended, or woke a moment ago: it cannot have noticed. Whatever it does then is refused or harmless. */
  #isExcused(host: ObservedHost): boolean {
    const { suspended, resumedMs } = host.process;
    return suspended || (isLate(host) && this.#options.clock.monotonic() - resumedMs < NOTICE_MS);
  }

  #violated(invariant: number, message: string): void {
    this.#options.violated(`invariant ${invariant}: ${message}`);
  }
}

/** By the clock of its own process. */
function isLate({ process, deadline }: ObservedHost): boolean {
  return deadline.passed(process.clock.monotonic());
}
