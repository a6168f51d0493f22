import type { HostCommand, HostEvent } from '@rocketmq-connect/pipeline/host-protocol';
import type { HostExit } from '@rocketmq-connect/pipeline/task-host';
import type { SamplerSettings } from '@rocketmq-connect/tracing/sampler';

/** What the runner's process says to a host process, over Node's channel. `deadlineMs`: of the runner's session, monotonic; 0: none. */
export type ToProcess =
  | { readonly start: ProcessHostData; readonly deadlineMs: number }
  | { readonly command: HostCommand }
  | { readonly deadlineMs: number };

/** And the host process to it. `beat`: it lives. `exit`: it ends itself for this reason. */
export type FromProcess = { readonly event: HostEvent } | { readonly beat: true } | { readonly exit: HostExit };

export interface ProcessHostData {
  readonly log: { readonly kind: string };
  readonly plugins: readonly string[];
  readonly baseDirectory: string;
  readonly sampler: SamplerSettings | null;
  readonly maxHeapMb: number;
  readonly maxMemoryMb: number;
  readonly blockedAfterMs: number;
}
