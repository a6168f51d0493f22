import type { AsyncLocalStorage } from 'node:async_hooks';
import type { MessageLog } from '@rocketmq-connect/message-log';
import type { Clock, Random } from '@rocketmq-connect/sdk';
import type { SamplerSettings } from '@rocketmq-connect/tracing/sampler';
import type { ReferenceSources } from '../config/references.ts';
import type { HostEvent } from '../host-protocol.ts';
import type { Catalogue } from '../plugins/catalogue.ts';
import type { DeadlineWord } from '../task-host.ts';
import type { HostSpans } from '../tracing/task-spans.ts';
import type { HookWatch } from './hook-watch.ts';
import type { HostLogs } from './host-logs.ts';
import type { HostStats } from './host-stats.ts';

/** What a host is made of: given where it is composed. */
export interface HostOptions {
  readonly log: MessageLog;
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly random: Random;
  /** Looked at before every send, put and commit (invariant 6). */
  readonly deadline: DeadlineWord;
  /** Where the values of `${env:…}` and `${file:…}` come from. */
  readonly references: ReferenceSources;
  readonly post: (event: HostEvent) => void;
  /** How batches are sampled; null or absent: nothing is traced. */
  readonly sampler?: SamplerSettings | null;
  /** Whose code runs: goes with every callback and promise that the code sets off. Default: one of the runtime's own. */
  readonly running?: AsyncLocalStorage<Owner>;
  /** Told the number of the unit whose hook is called, in the order of their starts, and 0 when it has returned. */
  readonly onHook?: (unitNumber: number) => void;
}

/** Whose code runs: a unit's, or what a plugin left running when it was loaded. */
export type Owner = { readonly unit: string } | { readonly plugin: string };

/** What units share. */
export interface Host extends HostOptions {
  readonly logs: HostLogs;
  readonly stats: HostStats;
  readonly hooks: HookWatch;
  /** Null: nothing is traced. */
  readonly spans: HostSpans | null;
  /** Of every configuration that was resolved here: for errors of which nobody can tell whose they are. */
  readonly secrets: Set<string>;
  /** The host has to be ended because of this unit. `hasFailed`: it failed of the error, and does not end. */
  readonly blame: (unit: string, error: unknown, hasFailed: boolean) => void;
  /** The unit has ended. */
  readonly remove: (unit: string) => void;
}

export function sessionIsOver({ deadline, clock }: HostOptions): boolean {
  return deadline.passed(clock.monotonic());
}
