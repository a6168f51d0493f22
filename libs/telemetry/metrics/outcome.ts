import { ConnectError } from '@rocketmq-connect/sdk';

/** The label of a request that failed: the code of its error, of which there are few. */
export function outcomeOf(error: unknown): string {
  return error instanceof ConnectError ? error.code : 'INTERNAL';
}
