import { ConnectError } from '@rocketmq-connect/sdk';

/** The store was asked and did not answer in time: a write may or may not have happened, and may still happen. */
export class OutcomeUnknownError extends ConnectError {
  constructor(message: string, cause?: unknown) {
    super('unavailable', message, { code: 'STORE_OUTCOME_UNKNOWN', cause });
    this.name = 'OutcomeUnknownError';
  }
}

/** The store could not be reached, or refused for the moment; nothing was written. */
export class StoreUnavailableError extends ConnectError {
  constructor(message: string, cause?: unknown) {
    super('unavailable', message, { code: 'STORE_UNAVAILABLE', cause });
    this.name = 'StoreUnavailableError';
  }
}

/** The history asked for is compacted away. */
export class CompactedError extends ConnectError {
  readonly compactRevision: bigint;

  constructor(compactRevision: bigint) {
    super('retriable', `history before revision ${compactRevision} is compacted`, { code: 'STORE_COMPACTED' });
    this.name = 'CompactedError';
    this.compactRevision = compactRevision;
  }
}
