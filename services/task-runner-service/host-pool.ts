import type { HostCommand, HostEvent, LogLevel, TaskCounters } from '@rocketmq-connect/pipeline/host-protocol';
import type { HostExit, TaskHost, TaskHosts } from '@rocketmq-connect/pipeline/task-host';
import type { Clock } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';

export interface HostPoolOptions {
  readonly hosts: TaskHosts;
  readonly clock: Clock;
  readonly log: Logger;
  /** Shared hosts at most; suspects get hosts of their own. */
  readonly hostCount: number;
  /** A host without work ends after this. */
  readonly idleMs: number;
  /** A host that a kill does not end in this time takes the process with it: what it still does cannot be bounded. */
  readonly killTimeoutMs: number;
  readonly onUnkillable: (message: string) => void;
}

/** What a unit hears from its host. */
export interface HostedUnit {
  onEvent(event: UnitHostEvent): void;
  onCounters(counters: TaskCounters): void;
  /** The host is gone, the unit's code with it. `culprit`: it was this unit's doing, as far as can be told. */
  onGone(exit: HostExit, culprit: boolean): void;
}

export type UnitHostEvent = Extract<HostEvent, { readonly unit: string }>;

export interface Placement {
  send(command: HostCommand): void;
  /** Its code has ended; nothing is heard of the host any more. */
  leave(): void;
  /** Ends the whole host, because this unit does not end otherwise; its neighbours go on in another. */
  expel(): void;
}

export interface PooledHost {
  readonly id: string;
  readonly units: readonly string[];
}

/**
 * The task hosts of a runner. Units share a few; who crashed or hung one gets a host of its own. Where several units were on a host that
 * crashed, nobody can tell whose doing it was: they are halved over fresh hosts until one of them crashes alone.
 */
export class HostPool {
  readonly #options: HostPoolOptions;
  readonly #hosts = new Set<Host>();
  #opened = 0;
  /** Suspects and the group they share a host with; all others are in the group 0. */
  readonly #groups = new Map<string, number>();
  #lastGroup = 0;
  #level: LogLevel | null = null;

  constructor(options: HostPoolOptions) {
    this.#options = options;
  }

  /** `weight` 0 for what hardly works (a connector's watch). */
  place(unit: string, weight: number, hosted: HostedUnit): Placement {
    const host = this.#hostFor(this.#groups.get(unit) ?? 0, weight);
    host.units.set(unit, { hosted, weight });
    host.cancelIdle();
    return {
      send: (command) => host.handle.send(command),
      leave: () => {
        if (host.units.get(unit)?.hosted === hosted) host.units.delete(unit);
        this.#endIfIdle(host);
      },
      expel: () => {
        if (host.units.get(unit)?.hosted !== hosted) return;
        host.culprit = unit;
        this.#kill(host);
      },
    };
  }

  /** The unit left this runner: it is no suspect any more. */
  forget(unit: string): void {
    this.#groups.delete(unit);
  }

  /** Whether a question would find a host that is there already. */
  get hasIdleHost(): boolean {
    return this.#idleHost() !== undefined;
  }

  /**
   * Takes a host for a question: nobody else uses it until it is given back. With `sharing`, a host where units run will do: only for
   * what runs no plugin code, for a host with units is not ended when the question takes too long.
   */
  borrow(onEvent: (event: HostEvent) => void, onExit: (exit: HostExit) => void, sharing = false): BorrowedHost {
    const host = this.#idleHost() ?? (sharing ? this.#unborrowed(0).find((each) => each.borrower === null) : undefined) ?? this.#open(0);
    host.cancelIdle();
    host.borrower = { onEvent, onExit };
    const giveBack = (): void => {
      host.borrower = null;
      this.#endIfIdle(host);
    };
    return {
      send: (command) => host.handle.send(command),
      giveBack,
      kill: () => (host.units.size > 0 ? giveBack() : this.#kill(host)),
    };
  }

  setLogLevel(level: LogLevel): void {
    this.#level = level;
    for (const host of this.#hosts) host.handle.send({ type: 'setLogLevel', level });
  }

  list(): PooledHost[] {
    return [...this.#hosts].map((host) => ({ id: host.handle.id, units: [...host.units.keys()] }));
  }

  /** Ends every host; resolves when all are gone, so that nothing of any unit runs (invariant 6). */
  async killAll(): Promise<void> {
    const all = [...this.#hosts];
    for (const host of all) {
      host.units.clear();
      this.#kill(host);
    }
    this.#groups.clear();
    await Promise.all(all.map((host) => host.gone));
  }

  #hostFor(group: number, weight: number): Host {
    const usable = this.#unborrowed(group);
    usable.sort((a, b) => load(a) - load(b) || a.number - b.number);
    const [least] = usable;
    if (least === undefined) return this.#open(group);
    const busy = usable.filter((host) => host.units.size > 0).length;
    // An idle host that is already there costs nothing to join; a new one is worth its memory only for real work.
    if (load(least) === 0 || weight === 0 || group !== 0 || busy >= this.#options.hostCount) return least;
    return this.#open(group);
  }

  #idleHost(): Host | undefined {
    return this.#unborrowed(0).find((host) => host.units.size === 0);
  }

  #unborrowed(group: number): Host[] {
    return [...this.#hosts].filter((host) => host.group === group && !host.dying && (host.borrower === null || host.units.size > 0));
  }

  #open(group: number): Host {
    const host = new Host(group, ++this.#opened);
    host.handle = this.#options.hosts.open({
      onEvent: (event) => this.#onEvent(host, event),
      onExit: (exit) => this.#onExit(host, exit),
    });
    this.#hosts.add(host);
    if (this.#level !== null) host.handle.send({ type: 'setLogLevel', level: this.#level });
    return host;
  }

  #onEvent(host: Host, event: HostEvent): void {
    if (event.type === 'logs') {
      for (const line of event.lines) writeLine(this.#options.log, line.level, line.message, { ...line.fields, host: host.handle.id });
    } else if (event.type === 'stats') {
      for (const [unit, counters] of Object.entries(event.counters)) host.units.get(unit)?.hosted.onCounters(counters);
    } else if ('unit' in event) {
      host.units.get(event.unit)?.hosted.onEvent(event);
    } else {
      host.borrower?.onEvent(event);
    }
  }

  #onExit(host: Host, exit: HostExit): void {
    host.cancelIdle();
    host.cancelKill();
    this.#hosts.delete(host);
    const units = [...host.units];
    const culprit = host.culprit ?? (units.length === 1 ? units[0]?.[0] : undefined);
    if (exit.reason !== 'killed') this.#options.log.error(`task host ${host.handle.id} ${exit.reason}`, { reason: exit.message });
    if (culprit !== undefined) this.#groups.set(culprit, ++this.#lastGroup);
    else if (units.length > 1) this.#halve(units.map(([unit]) => unit));
    for (const [unit, { hosted }] of units) hosted.onGone(exit, unit === culprit);
    host.borrower?.onExit(exit);
    host.onGone();
  }

  #halve(suspects: readonly string[]): void {
    const [one, other] = [++this.#lastGroup, ++this.#lastGroup];
    for (const [i, unit] of suspects.entries()) this.#groups.set(unit, i < suspects.length / 2 ? one : other);
  }

  #endIfIdle(host: Host): void {
    if (host.units.size > 0 || host.borrower !== null || host.dying || !this.#hosts.has(host)) return;
    host.cancelIdle = this.#options.clock.after(this.#options.idleMs, () => this.#kill(host));
  }

  #kill(host: Host): void {
    if (host.dying || !this.#hosts.has(host)) return;
    host.dying = true;
    host.cancelIdle();
    const { clock, killTimeoutMs, onUnkillable } = this.#options;
    host.cancelKill = clock.after(killTimeoutMs, () => onUnkillable(`task host ${host.handle.id} did not end within ${killTimeoutMs} ms`));
    host.handle.kill();
  }
}

export interface BorrowedHost {
  send(command: HostCommand): void;
  giveBack(): void;
  kill(): void;
}

class Host {
  readonly group: number;
  readonly number: number;
  readonly units = new Map<string, { readonly hosted: HostedUnit; readonly weight: number }>();
  borrower: { onEvent(event: HostEvent): void; onExit(exit: HostExit): void } | null = null;
  culprit: string | undefined;
  dying = false;
  handle: TaskHost = { id: '', send: () => undefined, kill: () => undefined };
  cancelIdle: () => void = () => undefined;
  cancelKill: () => void = () => undefined;
  onGone: () => void = () => undefined;
  readonly gone: Promise<void>;

  constructor(group: number, number: number) {
    this.group = group;
    this.number = number;
    this.gone = new Promise((resolve) => {
      this.onGone = resolve;
    });
  }
}

function load(host: Host): number {
  let sum = 0;
  for (const { weight } of host.units.values()) sum += weight;
  return sum;
}

function writeLine(log: Logger, level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>): void {
  if (level === 'silent') return;
  if (level === 'trace') log.debug(message, fields);
  else if (level === 'fatal') log.error(message, fields);
  else log[level](message, fields);
}
