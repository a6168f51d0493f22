import type { ConnectError } from '@rocketmq-connect/sdk';
import { unavailable } from './error-detail.ts';
import type { Endpoints } from './index.ts';

/** How an attempt on one endpoint failed. `sent`: the request may have been, or may yet be, carried out there. */
export class AttemptFailed {
  readonly error: ConnectError;
  readonly sent: boolean;

  constructor(error: ConnectError, sent: boolean) {
    this.error = error;
    this.sent = sent;
  }
}

/** The endpoints in the order to try them: round robin over the calls of one client. */
export function roundRobin(endpoints: Endpoints): () => readonly string[] {
  let turn = 0;
  return () => {
    const present = endpoints();
    if (present.length === 0) return present;
    const start = turn++ % present.length;
    return [...present.slice(start), ...present.slice(0, start)];
  };
}

/**
 * Tries the endpoints in turn. The next one is tried only where that cannot do anything twice: nothing was sent, or the peer is of an
 * older version that does not know the method, or the method reads only and the peer is unavailable.
 */
export async function withFailover<T>(
  service: string,
  method: string,
  endpoints: readonly string[],
  attempt: (endpoint: string) => Promise<T>,
): Promise<T> {
  let last: ConnectError | undefined;
  for (const endpoint of endpoints) {
    try {
      return await attempt(endpoint);
    } catch (failure) {
      if (!(failure instanceof AttemptFailed)) throw failure;
      if (failure.sent && !isUndone(failure.error, method)) throw failure.error;
      last = failure.error;
    }
  }
  throw last ?? noEndpoint(service);
}

export function noEndpoint(service: string): ConnectError {
  const name = service.slice(service.lastIndexOf('.') + 1);
  return unavailable('NO_ENDPOINT', `no instance of ${name} is known`, 'start one, or wait until it has registered');
}

function isUndone({ kind, code }: ConnectError, method: string): boolean {
  return code === 'UNIMPLEMENTED' || (kind === 'unavailable' && code === 'UNAVAILABLE' && isRead(method));
}

function isRead(method: string): boolean {
  return /^(Get|List|Describe|Validate|Read|History)/.test(method);
}
