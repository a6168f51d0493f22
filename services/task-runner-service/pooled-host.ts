import type { HostEvent } from '@rocketmq-connect/pipeline/host-protocol';
import type { HostExit, HostKind, TaskHost } from '@rocketmq-connect/pipeline/task-host';
import type { Failure } from './failure.ts';
import type { HostedUnit } from './host-pool.ts';
import { noLogMeters } from './meter-totals.ts';

/** A task host with the units on it, as the pool keeps it. */
export class PooledHost {
  readonly kind: HostKind;
  /** Only units of this group are placed on it. */
  readonly group: string;
  readonly number: number;
  readonly units = new Map<string, { readonly hosted: HostedUnit; readonly weight: number }>();
  borrower: { onEvent(event: HostEvent): void; onExit(exit: HostExit): void } | null = null;
  /** Code of some plugin was asked here, which may have left something behind: no unit runs here any more. */
  asked = false;
  /** Units for which it is ended, and what they failed of. */
  readonly culprits = new Map<string, Failure>();
  /** Its units are to leave; then it is killed. */
  emptying = false;
  dying = false;
  /** As of its last pulse. */
  loopDelayMs = 0;
  heapBytes = 0;
  logMeters = noLogMeters;
  handle: TaskHost = { id: '', send: () => undefined, kill: () => undefined };
  cancelIdle: () => void = () => undefined;
  cancelPing: () => void = () => undefined;
  cancelKill: () => void = () => undefined;
  onGone: () => void = () => undefined;
  readonly gone: Promise<void>;

  constructor(kind: HostKind, group: string, number: number) {
    this.kind = kind;
    this.group = group;
    this.number = number;
    this.gone = new Promise((resolve) => {
      this.onGone = resolve;
    });
  }

  get load(): number {
    let sum = 0;
    for (const { weight } of this.units.values()) sum += weight;
    return sum;
  }

  /** Nobody is left on it but those for whom it is ended. */
  get hasCulpritsOnly(): boolean {
    for (const unit of this.units.keys()) if (!this.culprits.has(unit)) return false;
    return true;
  }

  cancelTimers(): void {
    this.cancelIdle();
    this.cancelPing();
    this.cancelKill();
  }
}
