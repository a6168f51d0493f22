import { type PlainError, toPlainError } from '@rocketmq-connect/sdk';
import type { FailureKind } from './restart-policy.ts';

/** Why the code of a unit ended by itself. */
export interface Failure {
  readonly kind: FailureKind;
  readonly message: string;
  /** False for a neighbour of the culprit: it goes on elsewhere at once, and no restart is counted. */
  readonly counted: boolean;
}

/** Thrown by what starts a unit's code. */
export class UnitFailed extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.name = 'UnitFailed';
    this.failure = failure;
  }
}

export function toFailure(error: unknown): Failure {
  return error instanceof UnitFailed ? error.failure : fromError(toPlainError(error));
}

export function fromError(error: PlainError): Failure {
  return { kind: error.kind, message: describeError(error), counted: true };
}

/** Of a unit that its host had to be ended for. */
export function harm(message: string): Failure {
  return { kind: 'host', message, counted: true };
}

/** What a status shows of an error: its remedy, or, of what nobody expected, where in the code it was thrown. */
export function describeError({ code, message, remedy, stack }: PlainError): string {
  if (remedy !== undefined) return `${code}: ${message}${/[.!?]$/.test(message) ? ' ' : '. '}${remedy}`;
  const frames = code === 'UNEXPECTED' ? (stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)) : [];
  return [`${code}: ${message}`, ...frames.slice(0, FRAMES_MAX)].join('\n');
}

const FRAMES_MAX = 8;
