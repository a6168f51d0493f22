import { parseUnitId } from '@rocketmq-connect/cluster';
import type { Clock } from '@rocketmq-connect/sdk';
import { type Histogram, histogram, LATENCY, observe } from '@rocketmq-connect/telemetry/metrics/histogram';
import { owns, type UnitPhase } from './unit-state.ts';

export type UnitKind = 'connector' | 'task';

/** What one unit has been through on this runner; counts only grow. */
export interface UnitHistory {
  failures: number;
  /** Up to `phaseSinceMs`. */
  readonly spentMs: { RUNNING: number; PAUSED: number };
  phase: UnitPhase;
  /** Monotonic. */
  phaseSinceMs: number;
  /** Since the epoch; 0: not owned. */
  ownedAtMs: number;
  /** Monotonic: of the claim, until it runs. */
  claimedMs: number | null;
}

/** What happened to the units of a runner, told by the steps of their state machines. */
export class UnitFigures {
  readonly claims = { claimed: 0, refused: 0 };
  readonly startups = { connector: { success: 0, failure: 0 }, task: { success: 0, failure: 0 } };
  readonly startDurations: Readonly<Record<UnitKind, Histogram>> = { connector: histogram(LATENCY), task: histogram(LATENCY) };
  releases = 0;
  sessions = 0;
  /** Since the epoch. */
  sessionStartMs = 0;
  readonly #clock: Clock;
  readonly #units = new Map<string, UnitHistory>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `unit` is its id, whatever its generation. */
  step(unit: string, kind: UnitKind, from: UnitPhase, to: UnitPhase): void {
    const history = this.#of(unit);
    const now = this.#clock.monotonic();
    if (from === 'RUNNING' || from === 'PAUSED') history.spentMs[from] += now - history.phaseSinceMs;
    history.phase = to;
    history.phaseSinceMs = now;
    if (from === 'CLAIMING') this.#claimed(history, owns(to), now);
    if (from === 'STARTING') this.#started(history, kind, to, now);
    if ((to === 'FAILED' || to === 'RESTARTING') && (from === 'STARTING' || from === 'RUNNING' || from === 'PAUSED')) history.failures++;
    if (from === 'RELEASING') this.releases++;
    if (!owns(to)) history.ownedAtMs = 0;
  }

  joined(): void {
    this.sessions++;
    this.sessionStartMs = this.#clock.now();
  }

  history(unit: string): UnitHistory | undefined {
    return this.#units.get(unit);
  }

  /** Time in a state, up to now. */
  spentSeconds({ spentMs, phase, phaseSinceMs }: UnitHistory, state: 'RUNNING' | 'PAUSED'): number {
    return (spentMs[state] + (phase === state ? this.#clock.monotonic() - phaseSinceMs : 0)) / 1000;
  }

  /** Those of whose units something is known. */
  connectors(): ReadonlySet<string> {
    const connectors = new Set<string>();
    for (const unit of this.#units.keys()) connectors.add(parseUnitId(unit).connector);
    return connectors;
  }

  /** The connector is deleted. */
  forget(connector: string): void {
    for (const unit of this.#units.keys()) if (parseUnitId(unit).connector === connector) this.#units.delete(unit);
  }

  #claimed(history: UnitHistory, owned: boolean, now: number): void {
    this.claims[owned ? 'claimed' : 'refused']++;
    if (!owned) return;
    history.ownedAtMs = this.#clock.now();
    history.claimedMs = now;
  }

  #started(history: UnitHistory, kind: UnitKind, to: UnitPhase, now: number): void {
    if (to === 'RUNNING' || to === 'PAUSED') {
      this.startups[kind].success++;
      if (history.claimedMs !== null) observe(this.startDurations[kind], LATENCY, (now - history.claimedMs) / 1000);
      history.claimedMs = null;
    } else if (to === 'FAILED' || to === 'RESTARTING') this.startups[kind].failure++;
  }

  #of(unit: string): UnitHistory {
    let history = this.#units.get(unit);
    if (history === undefined) {
      const spentMs = { RUNNING: 0, PAUSED: 0 };
      history = { failures: 0, spentMs, phase: 'IDLE', phaseSinceMs: 0, ownedAtMs: 0, claimedMs: null };
      this.#units.set(unit, history);
    }
    return history;
  }
}
