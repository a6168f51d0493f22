import { ConnectError, type ErrorContext, FatalError } from '@rocketmq-connect/sdk';

/** The store was asked and did not answer in time: a write may or may not have happened, and may still happen. */
export class OutcomeUnknownError extends ConnectError {
  constructor(message: string, cause?: unknown) {
    super('unavailable', message, { code: 'STORE_OUTCOME_UNKNOWN', cause });
    this.name = 'OutcomeUnknownError';
  }
}

/** The store could not be reached, or refused for the moment; nothing was written. */
export class StoreUnavailableError extends ConnectError {
  constructor(message: string, cause?: unknown, context: Pick<ErrorContext, 'code' | 'field' | 'remedy'> = {}) {
    super('unavailable', message, { code: 'STORE_UNAVAILABLE', cause, ...context });
    this.name = 'StoreUnavailableError';
  }
}

/** A put named a lease that is revoked or expired; nothing was written. */
export class LeaseGoneError extends ConnectError {
  readonly leaseId: bigint;

  constructor(leaseId: bigint) {
    super('conflict', `lease ${leaseId} is gone: it was revoked or has expired`, { code: 'STORE_LEASE_GONE', remedy: 'open a new lease' });
    this.name = 'LeaseGoneError';
    this.leaseId = leaseId;
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

/**
 * The store is not the one it was, or went back in time: tokens may come again, and what was committed may be forgotten. Nothing that
 * this process remembers can be trusted; it must stop what it runs and refuse to go on (docs/architecture.md, "Metadata").
 */
export class StoreSetBackError extends FatalError {
  constructor(message: string) {
    super(message, {
      code: 'STORE_SET_BACK',
      remedy: 'was an old snapshot restored? Make the store right (restore with bumped revisions, or use a new cluster name), then restart',
    });
    this.name = 'StoreSetBackError';
  }
}
