import { ConfigError, ConnectError, FatalError } from '@rocketmq-connect/sdk';
import { OutcomeUnknownError, StoreUnavailableError } from '../errors.ts';

/** What a call to one etcd member came to, when it did not succeed. */
export interface EtcdFailure {
  /** True: the member did nothing and never will. False: nobody knows. */
  readonly nothingDone: boolean;
  /** The member is at fault, not the request: another one may answer. */
  readonly memberAtFault: boolean;
  /** The member does not take the token; a new one helps. */
  readonly tokenRefused: boolean;
  /** For the caller; `repeatable` calls leave nothing behind whether they were done or not. */
  toError(repeatable: boolean): ConnectError;
}

const GRPC = { CANCELLED: 1, UNKNOWN: 2, INVALID_ARGUMENT: 3, DEADLINE_EXCEEDED: 4, NOT_FOUND: 5, UNIMPLEMENTED: 12, UNAUTHENTICATED: 16 };

/** grpc-js' words for a call that never left this process. */
const NEVER_SENT = /No connection established|Name resolution failed|Channel closed before call|Waiting for LB pick/;
/** The server's words for a request that it did not even propose to the others. A server that stops says so of proposed ones too. */
const NOT_PROPOSED = /etcdserver: (no leader|not leader|too many requests)/;

/**
 * The one table of what etcd and gRPC may answer. etcd3 keeps of a status only its text, `14 UNAVAILABLE: …`, and etcd's own errors are
 * told apart by their text as well (etcd: api/v3rpc/rpctypes/error.go).
 */
export function failureOf(thrown: unknown, what: string, endpoint: string): EtcdFailure {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const code = Number(/(?:^|: )(\d{1,2}) [A-Z_]+: /.exec(text)?.[1] ?? GRPC.UNKNOWN);
  const said = text
    .replace(/^.*?\d{1,2} [A-Z_]+: /s, '')
    .replace(/ Resolution note: .*$/s, '')
    .replace(/^No connection established\. Last error: (Error: )?/, 'No connection established: ');
  const final = (error: ConnectError): EtcdFailure => ({
    nothingDone: true,
    memberAtFault: false,
    tokenRefused: false,
    toError: () => error,
  });
  if (thrown instanceof ConnectError) return final(thrown);
  if (/invalid auth token|revision of auth store is old|user name is empty/.test(said) || code === GRPC.UNAUTHENTICATED) {
    return { ...final(refused(said, endpoint)), tokenRefused: true };
  }
  if (/permission denied/.test(said)) return final(permissionDenied(what, endpoint));
  if (/authentication failed/.test(said)) return final(refused(said, endpoint));
  if (/database space exceeded/.test(said)) return final(full(endpoint));
  if (/request is too large|too many operations/.test(said)) {
    return final(
      new ConfigError(`etcd refused ${what} as too large`, { code: 'STORE_LIMIT', field: 'txn', remedy: 'raise etcd --max-request-bytes' }),
    );
  }
  if (code === GRPC.UNIMPLEMENTED) {
    return final(
      new FatalError(`${endpoint} does not know ${what}: it is no etcd of version 3.4 or newer`, {
        code: 'STORE_UNSUPPORTED',
        field: 'etcd',
        remedy: 'give the client addresses of an etcd cluster',
      }),
    );
  }
  if (code === GRPC.INVALID_ARGUMENT) return final(new ConnectError('config', `etcd refused ${what}: ${said}`, { code: 'STORE_REFUSED' }));
  const nothingDone = NEVER_SENT.test(said) || NOT_PROPOSED.test(said);
  const message = `${what} at etcd ${endpoint}: ${code === GRPC.DEADLINE_EXCEEDED ? 'no answer in time' : said}`;
  return {
    nothingDone,
    memberAtFault: true,
    tokenRefused: false,
    toError: (repeatable) =>
      repeatable || nothingDone
        ? new StoreUnavailableError(message, thrown, { field: 'etcd', remedy: 'check that etcd runs there, and the TLS settings' })
        : new OutcomeUnknownError(message, thrown),
  };
}

/** Whether the server said that a lease does not exist: it was revoked, has expired, or never was. */
export function isLeaseNotFound(thrown: unknown): boolean {
  return thrown instanceof Error && /requested lease not found/.test(thrown.message);
}

function refused(said: string, endpoint: string): ConnectError {
  return new ConnectError('denied', `etcd ${endpoint} does not accept the user: ${said}`, {
    code: 'STORE_UNAUTHENTICATED',
    field: 'etcdAuth.username',
    remedy: 'give a user of etcd and its password with etcdAuth.username and etcdAuth.password',
  });
}

function permissionDenied(what: string, endpoint: string): ConnectError {
  return new ConnectError('denied', `etcd ${endpoint} does not permit ${what} to this user`, {
    code: 'STORE_PERMISSION_DENIED',
    field: 'etcdAuth.username',
    remedy: 'grant its role the keys of the cluster (etcdctl role grant-permission), or give another user',
  });
}

function full(endpoint: string): StoreUnavailableError {
  return new StoreUnavailableError(`etcd ${endpoint} is full (alarm NOSPACE): it refuses writes and still answers reads`, undefined, {
    code: 'STORE_FULL',
    field: 'etcd',
    remedy: 'compact and defragment etcd, or raise its --quota-backend-bytes, then: etcdctl alarm disarm',
  });
}
