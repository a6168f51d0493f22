import type { MessageLog } from '@rocketmq-connect/message-log';
import type { Clock, Random } from '@rocketmq-connect/sdk';
import type { ReferenceSources } from '../config/references.ts';
import type { HostEvent } from '../host-protocol.ts';
import type { Catalogue } from '../plugins/catalogue.ts';
import type { DeadlineWord } from '../task-host.ts';
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
}

/** What units share. */
export interface Host extends HostOptions {
  readonly logs: HostLogs;
  readonly stats: HostStats;
  /** Of every configuration that was resolved here: for errors of which nobody can tell whose they are. */
  readonly secrets: Set<string>;
  /** The unit has ended. */
  readonly remove: (unit: string) => void;
}

export function sessionIsOver({ deadline, clock }: HostOptions): boolean {
  return deadline.passed(clock.monotonic());
}
