import type { HostCommand, HostEvent, LogMeters, TaskCounters, TaskMeters } from '@rocketmq-connect/pipeline/host-protocol';
import type { HostExit, HostKind, TaskHosts } from '@rocketmq-connect/pipeline/task-host';
import { type Clock, ConfigError } from '@rocketmq-connect/sdk';
import type { Logger } from '@rocketmq-connect/telemetry';
import type { LevelTable, LogLevel } from '@rocketmq-connect/telemetry/log-levels';
import type { Loggers } from '@rocketmq-connect/telemetry/loggers';
import type { SpanData } from '@rocketmq-connect/tracing';
import { describeError, type Failure, fromError, harm } from './failure.ts';
import { noLogMeters, sumOfLogMeters } from './meter-totals.ts';
import { PooledHost } from './pooled-host.ts';
import { Suspects } from './suspects.ts';

export interface HostPoolOptions {
  readonly hosts: { readonly thread: TaskHosts; readonly process?: TaskHosts };
  readonly clock: Clock;
  readonly log: Logger;
  /** Whose levels hold in hosts as well. */
  readonly loggers: Loggers;
  /** Hosts of one group at most; suspects get hosts of their own. */
  readonly hostCount: number;
  /** A host without work ends after this. */
  readonly idleMs: number;
  /** A host that a kill does not end in this time takes the process with it: what it still does cannot be bounded. */
  readonly killTimeoutMs: number;
  /** A host that answers nothing for this long is blocked: nobody on it can stop in order. */
  readonly pingTimeoutMs: number;
  /** There are plugins of others: a host that was asked for them may not be trusted with units. */
  readonly foreignPlugins: boolean;
  /** Finished spans of a host, and how many it dropped. */
  readonly onSpans: (spans: readonly SpanData[], dropped: number) => void;
  readonly onUnkillable: (message: string) => void;
}

/** Where a unit wants to run. */
export interface Home {
  readonly kind: HostKind;
  /** Units of one group share hosts; '' for all that ask for none of their own. */
  readonly group: string;
}

/** What a unit hears from its host. */
export interface HostedUnit {
  onEvent(event: UnitHostEvent): void;
  onFigures(counters: TaskCounters, meters: TaskMeters | undefined): void;
  /** Its host will be ended because of a neighbour: stop in order, leave, and be placed elsewhere. */
  onMove(): void;
  /** The host is gone, the unit's code with it. `culprit`: by this unit's doing; null: not, as far as can be told. */
  onGone(exit: HostExit, culprit: Failure | null): void;
}

export type UnitHostEvent = Exclude<Extract<HostEvent, { readonly unit: string }>, { readonly type: 'culprit' }>;

export interface Placement {
  send(command: HostCommand): void;
  /** Its code has ended; nothing is heard of the host any more. */
  leave(): void;
  /** Ends the host because of this unit, when its neighbours have left it in order; at once where they cannot. */
  expel(reason: string): void;
  /** Ends the host at once. */
  kill(): void;
  /** Why the host is ended because of this unit; null: it is not. */
  readonly accusation: Failure | null;
}

/** The task hosts of a runner: units share a few, and whoever harms one costs its neighbours a moment at most (ADR 0041). */
export class HostPool {
  readonly #options: HostPoolOptions;
  readonly #hosts = new Set<PooledHost>();
  readonly #suspects = new Suspects();
  readonly #exits = new Map<string, { kind: HostKind; reason: HostExit['reason']; count: number }>();
  #pastLogMeters = noLogMeters;
  #opened = 0;

  constructor(options: HostPoolOptions) {
    this.#options = options;
    options.loggers.onChange(() => {
      for (const host of this.#hosts) this.#tellLevels(host);
    });
  }

  /** `weight` 0 for what hardly works (a connector's watch). Throws where the runner has no such hosts. */
  place(unit: string, weight: number, home: Home, hosted: HostedUnit): Placement {
    const host = this.#hostFor(this.#homeOf(unit, home), weight);
    host.units.set(unit, { hosted, weight });
    host.cancelIdle();
    const isHere = (): boolean => host.units.get(unit)?.hosted === hosted;
    return {
      send: (command) => host.handle.send(command),
      leave: () => {
        if (isHere()) host.units.delete(unit);
        if (host.emptying) this.#killIfEmptied(host);
        else this.#endIfIdle(host);
      },
      expel: (reason) => {
        if (isHere()) this.#expel(host, unit, harm(reason));
      },
      kill: () => {
        if (isHere()) this.#kill(host);
      },
      get accusation() {
        return host.culprits.get(unit) ?? null;
      },
    };
  }

  /** The unit left this runner: it is no suspect any more. */
  forget(unit: string): void {
    this.#suspects.forget(unit);
  }

  /** So many units are about to come: those that would wait for a host to start find it started. It ends when they do not come. */
  prepare({ kind, group }: Home, units: number): void {
    if (!this.has(kind)) return;
    const there = this.#usable(kind, group).filter((host) => !host.asked);
    const busy = there.filter((host) => host.units.size > 0).length;
    const wanted = Math.min(units, this.#options.hostCount - busy);
    for (let idle = there.length - busy; idle < wanted; idle++) this.#endIfIdle(this.#open(kind, group));
  }

  has(kind: HostKind): boolean {
    return this.#options.hosts[kind] !== undefined;
  }

  /** Whether a question would find a host that is there already. */
  hasIdleHost(kind: HostKind): boolean {
    return this.#idleHost(kind) !== undefined;
  }

  /** Takes a host for a question: nobody else asks it until it is given back. */
  borrow(loan: Loan, onEvent: (event: HostEvent) => void, onExit: (exit: HostExit) => void): BorrowedHost {
    const shared = loan.sharing ? this.#usable(loan.kind, '').find((each) => each.borrower === null) : undefined;
    const host = this.#idleHost(loan.kind) ?? shared ?? this.#open(loan.kind, '');
    host.cancelIdle();
    host.borrower = { onEvent, onExit };
    if (loan.runsHooks && this.#options.foreignPlugins) host.asked = true;
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

  /** What all hosts measured at the message log, those that are gone included: counts only grow. */
  logMeters(): LogMeters {
    return [...this.#hosts].reduce((sum, { logMeters }) => sumOfLogMeters(sum, logMeters), this.#pastLogMeters);
  }

  /** Hosts that ended, by kind and reason. */
  get exits(): readonly { readonly kind: HostKind; readonly reason: HostExit['reason']; readonly count: number }[] {
    return [...this.#exits.values()];
  }

  list(): HostSummary[] {
    return [...this.#hosts].map(({ handle, kind, units, loopDelayMs, heapBytes }) => {
      return { id: handle.id, kind, units: [...units.keys()], loopDelayMs, heapBytes };
    });
  }

  /** Ends every host; resolves when all are gone, so that nothing of any unit runs (invariant 6). */
  async killAll(): Promise<void> {
    const all = [...this.#hosts];
    for (const host of all) {
      host.units.clear();
      this.#kill(host);
    }
    this.#suspects.clear();
    await Promise.all(all.map((host) => host.gone));
  }

  /** Where a unit is placed: where it wants to be, unless it is suspected. */
  #homeOf(unit: string, home: Home): Home & { readonly hostsMax: number } {
    const suspected = this.#suspects.groupOf(unit);
    if (suspected !== 0) return { kind: home.kind, group: `suspects/${suspected}`, hostsMax: 1 };
    return { ...home, hostsMax: this.#options.hostCount };
  }

  #hostFor({ kind, group, hostsMax }: Home & { readonly hostsMax: number }, weight: number): PooledHost {
    const usable = this.#usable(kind, group)
      .filter((host) => !host.asked)
      .sort((a, b) => a.load - b.load || a.number - b.number);
    const [least] = usable;
    if (least === undefined) return this.#open(kind, group);
    const busy = usable.filter((host) => host.units.size > 0).length;
    // An idle host that is already there costs nothing to join; a new one is worth its memory only for real work.
    if (least.load === 0 || weight === 0 || busy >= hostsMax) return least;
    return this.#open(kind, group);
  }

  /** Hosts that take units or questions. */
  #usable(kind: HostKind, group: string): PooledHost[] {
    return [...this.#hosts].filter(
      (host) =>
        host.kind === kind && host.group === group && !host.emptying && !host.dying && (host.borrower === null || host.units.size > 0),
    );
  }

  #idleHost(kind: HostKind): PooledHost | undefined {
    return this.#usable(kind, '').find((host) => host.units.size === 0);
  }

  #open(kind: HostKind, group: string): PooledHost {
    const hosts = this.#options.hosts[kind];
    if (hosts === undefined) throw noProcesses();
    const host = new PooledHost(kind, group, ++this.#opened);
    host.handle = hosts.open({
      onEvent: (event) => this.#onEvent(host, event),
      onExit: (exit) => this.#onExit(host, exit),
    });
    this.#hosts.add(host);
    // Hosts begin with info.
    if (!isDefault(this.#options.loggers.table)) this.#tellLevels(host);
    return host;
  }

  #tellLevels({ handle }: PooledHost): void {
    handle.send({ type: 'setLogLevels', levels: this.#options.loggers.table });
  }

  #onEvent(host: PooledHost, event: HostEvent): void {
    if (event.type === 'logs') {
      for (const line of event.lines) writeLine(this.#options.log, line.level, line.message, { ...line.fields, host: host.handle.id });
    } else if (event.type === 'spans') {
      this.#options.onSpans(event.spans, event.dropped);
    } else if (event.type === 'stats') {
      for (const [unit, counters] of Object.entries(event.counters)) host.units.get(unit)?.hosted.onFigures(counters, event.meters[unit]);
      host.logMeters = event.log ?? host.logMeters;
    } else if (event.type === 'pulse') {
      host.loopDelayMs = event.loopDelayMs;
      host.heapBytes = event.heapBytes;
    } else if (event.type === 'pong') {
      host.cancelPing();
    } else if (event.type === 'culprit') {
      this.#accuse(host, event.unit, event.hasFailed ? fromError(event.error) : harm(describeError(event.error)));
    } else if ('unit' in event) {
      host.units.get(event.unit)?.hosted.onEvent(event);
    } else {
      host.borrower?.onEvent(event);
    }
  }

  #accuse(host: PooledHost, unit: string, failure: Failure): void {
    if (host.units.has(unit)) return this.#expel(host, unit, failure);
    const fields = { unit, reason: failure.message, host: host.handle.id };
    this.#options.log.warn('code of a unit that has ended here still runs: its host is ended', fields);
    this.#empty(host);
  }

  #expel(host: PooledHost, unit: string, failure: Failure): void {
    if (host.dying) return;
    host.culprits.set(unit, failure);
    this.#suspects.convict(unit);
    this.#empty(host);
  }

  /** Neighbours commit and move; a host that does not even answer is killed under them, and they go on from their last commit. */
  #empty(host: PooledHost): void {
    if (!host.emptying && !host.dying) {
      host.emptying = true;
      host.cancelIdle();
      const neighbours = [...host.units].filter(([unit]) => !host.culprits.has(unit));
      if (neighbours.length > 0) {
        this.#warmUp(host);
        host.handle.send({ type: 'ping' });
        host.cancelPing = this.#options.clock.after(this.#options.pingTimeoutMs, () => this.#kill(host));
        for (const [, { hosted }] of neighbours) hosted.onMove();
      }
    }
    this.#killIfEmptied(host);
  }

  /** So that who leaves need not wait for a host to start. */
  #warmUp({ kind, group }: PooledHost): void {
    const others = this.#usable(kind, group).filter((host) => !host.asked);
    if (others.some((host) => host.units.size === 0) || others.length >= this.#options.hostCount) return;
    this.#endIfIdle(this.#open(kind, group));
  }

  #killIfEmptied(host: PooledHost): void {
    if (host.emptying && host.hasCulpritsOnly) this.#kill(host);
  }

  #onExit(host: PooledHost, exit: HostExit): void {
    host.cancelTimers();
    this.#hosts.delete(host);
    this.#pastLogMeters = { ...sumOfLogMeters(this.#pastLogMeters, host.logMeters), inFlight: 0, connections: 0 };
    const exits = this.#exits.get(`${host.kind} ${exit.reason}`) ?? { kind: host.kind, reason: exit.reason, count: 0 };
    exits.count++;
    this.#exits.set(`${host.kind} ${exit.reason}`, exits);
    const units = [...host.units];
    if (exit.reason !== 'killed') {
      this.#options.log.error(`task host ${host.handle.id} ${exit.reason}`, { reason: exit.message });
      this.#findCulprit(host, exit);
    }
    for (const [unit, { hosted }] of units) hosted.onGone(exit, host.culprits.get(unit) ?? null);
    host.borrower?.onExit(exit);
    host.onGone();
  }

  /** Of a host that died by itself. */
  #findCulprit(host: PooledHost, exit: HostExit): void {
    if (host.culprits.size > 0) return;
    const units = [...host.units.keys()];
    const culprit = units.find((unit) => unit === exit.unit) ?? (units.length === 1 ? units[0] : undefined);
    if (culprit === undefined) return this.#suspects.halve(units);
    host.culprits.set(culprit, harm(`its host ${exit.reason}: ${exit.message}`));
    this.#suspects.convict(culprit);
  }

  #endIfIdle(host: PooledHost): void {
    if (host.units.size > 0 || host.borrower !== null || host.dying || !this.#hosts.has(host)) return;
    host.cancelIdle();
    host.cancelIdle = this.#options.clock.after(this.#options.idleMs, () => this.#kill(host));
  }

  #kill(host: PooledHost): void {
    if (host.dying || !this.#hosts.has(host)) return;
    host.dying = true;
    host.cancelTimers();
    const { clock, killTimeoutMs, onUnkillable } = this.#options;
    host.cancelKill = clock.after(killTimeoutMs, () => onUnkillable(`task host ${host.handle.id} did not end within ${killTimeoutMs} ms`));
    host.handle.kill();
  }
}

/** What a question needs of a host. */
export interface Loan {
  readonly kind: HostKind;
  /** Code of the plugin runs: what it leaves behind must meet no unit of others. */
  readonly runsHooks: boolean;
  /** No plugin code runs: a host where units run will do, and is not ended when the question takes too long. */
  readonly sharing: boolean;
}

export interface BorrowedHost {
  send(command: HostCommand): void;
  giveBack(): void;
  kill(): void;
}

export interface HostSummary {
  readonly id: string;
  readonly kind: HostKind;
  readonly units: readonly string[];
  readonly loopDelayMs: number;
  readonly heapBytes: number;
}

function noProcesses(): ConfigError {
  return new ConfigError('tasks.isolation is process, and processes cannot share the embedded message log', {
    field: 'tasks.isolation',
    remedy: 'Use thread, or a RocketMQ cluster (rocketmq.namesrv).',
  });
}

function isDefault(levels: LevelTable): boolean {
  return levels.root === 'info' && Object.keys(levels).length === 1;
}

function writeLine(log: Logger, level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>): void {
  if (level === 'silent') return;
  if (level === 'trace') log.debug(message, fields);
  else if (level === 'fatal') log.error(message, fields);
  else log[level](message, fields);
}
