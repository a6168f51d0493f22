import type { EtcdConnection } from '@rocketmq-connect/metadata-store/connection';
import type { PlainError } from '@rocketmq-connect/sdk';

/** What `thread-main.ts` is started with. */
export interface LeaseThreadData {
  readonly connection: EtcdConnection;
  /** The `DeadlineWord` that task hosts look at. */
  readonly deadline: SharedArrayBuffer;
}

/** From the control thread. One lease at a time. */
export type LeaseCommand =
  | { readonly type: 'open'; readonly ttlMs: number; readonly killTimeMs: number }
  /** Answers `ping`: the control thread is alive. */
  | { readonly type: 'pong' }
  /** The lease, or what it held, was found gone, or its end was found to be due. */
  | { readonly type: 'lost'; readonly reason: string }
  /** All that ran under the lease is gone. */
  | { readonly type: 'release' };

export type LeaseEvent =
  | { readonly type: 'opened'; readonly id: bigint; readonly ttlMs: number }
  | { readonly type: 'failed'; readonly error: PlainError }
  | { readonly type: 'ping' }
  | { readonly type: 'ending'; readonly reason: string }
  | { readonly type: 'released' };
