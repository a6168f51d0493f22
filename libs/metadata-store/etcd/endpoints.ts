import { rootCertificates } from 'node:tls';
import { InterceptingCall, type Interceptor } from '@grpc/grpc-js';
import type { Clock, ConnectError, Random } from '@rocketmq-connect/sdk';
import { noop } from 'cockatiel';
import { Etcd3, type IDuplexStream } from 'etcd3';
import type { EtcdConnection } from '../connection.ts';
import { StoreUnavailableError } from '../errors.ts';
import { type EtcdFailure, failureOf } from './failure.ts';
import type { EtcdFigures } from './figures.ts';

export type MemberAnswer<T> = { readonly address: string; readonly answer: T } | { readonly address: string; readonly error: ConnectError };

/** How long a member that failed is asked last. */
const AVOID_MS = 5_000;

const GRPC_OPTIONS = {
  // A half-open connection shows no error. The server takes pings that come every 5 s or more for abuse.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 3_000,
  // Ranges and catching-up watches are as large as what is stored.
  'grpc.max_receive_message_length': -1,
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_http_proxy': 0,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
};

/**
 * The members of an etcd cluster: which one to ask, and what may be asked of another when one fails. One etcd3 client per member,
 * with its pool, its retries and its circuit breakers switched off: they repeat transactions that may have happened and refuse
 * calls while the server is well (docs/decisions/0030).
 */
export class EtcdEndpoints {
  readonly callTimeoutMs: number;
  readonly #members: readonly Member[];
  readonly #clock: Clock;
  readonly figures: EtcdFigures;
  #preferred = 0;
  #closed = false;

  constructor(connection: EtcdConnection, clock: Clock, random: Random, figures: EtcdFigures) {
    this.callTimeoutMs = connection.callTimeoutMs ?? 2_000;
    this.#members = connection.endpoints.map((address) => new Member(address, connection, this.callTimeoutMs));
    this.#clock = clock;
    this.figures = figures;
    this.#prefer(Math.floor(random() * this.#members.length));
  }

  /**
   * One call. A member that fails is followed by the next, as long as nothing can have been done; `repeatable` calls may be done twice.
   * Throws errors of the family. `what` names the call for messages.
   */
  async call<T>(what: string, repeatable: boolean, run: (etcd: Etcd3) => Promise<T>): Promise<T> {
    let failure: EtcdFailure | undefined;
    for (const member of this.#inOrder()) {
      this.checkOpen();
      try {
        return await member.call(run);
      } catch (thrown) {
        failure = thrown instanceof LogInFailed ? thrown.failure : failureOf(thrown, what, member.address);
        if (!failure.memberAtFault) throw failure.toError(repeatable);
        this.avoid(member);
        if (!repeatable && !failure.nothingDone) break;
      }
    }
    this.checkOpen();
    throw failure?.toError(repeatable) ?? new StoreUnavailableError('etcd has no endpoint');
  }

  /** Opens a stream at the member that would be asked next. Whoever reads it tells by `avoid` when it fails. */
  async stream<Q, R>(open: (etcd: Etcd3) => Promise<IDuplexStream<Q, R>>): Promise<{ stream: IDuplexStream<Q, R>; member: Member }> {
    this.checkOpen();
    const [member] = this.#inOrder();
    if (member === undefined) throw new StoreUnavailableError('etcd has no endpoint');
    try {
      return { stream: await member.open(open), member };
    } catch (thrown) {
      this.avoid(member);
      throw thrown instanceof LogInFailed ? thrown.failure.toError(true) : thrown;
    }
  }

  /** Asks every member for itself, at once. */
  async askEach<T>(what: string, run: (etcd: Etcd3) => Promise<T>): Promise<readonly MemberAnswer<T>[]> {
    return Promise.all(
      this.#members.map(async (member): Promise<MemberAnswer<T>> => {
        try {
          return { address: member.address, answer: await member.call(run) };
        } catch (thrown) {
          const failure = thrown instanceof LogInFailed ? thrown.failure : failureOf(thrown, what, member.address);
          return { address: member.address, error: failure.toError(true) };
        }
      }),
    );
  }

  avoid(member: Member): void {
    member.avoidedUntilMs = this.#clock.monotonic() + AVOID_MS;
    this.figures.failed(member.address);
    if (this.#members[this.#preferred] === member) this.#prefer((this.#preferred + 1) % this.#members.length);
  }

  checkOpen(): void {
    if (this.#closed) throw new StoreUnavailableError('the connection to etcd is closed');
  }

  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
    for (const member of this.#members) member.close();
  }

  #prefer(index: number): void {
    this.#preferred = index;
    this.figures.preferredMember = this.#members[index]?.address ?? '';
  }

  // The preferred one first, so that calls stay with one member while it answers; those that failed of late last.
  #inOrder(): readonly Member[] {
    const nowMs = this.#clock.monotonic();
    const turned = [...this.#members.slice(this.#preferred), ...this.#members.slice(0, this.#preferred)];
    return turned.sort((a, b) => Number(a.avoidedUntilMs > nowMs) - Number(b.avoidedUntilMs > nowMs));
  }
}

/** One member, and this process's token for it. */
export class Member {
  readonly address: string;
  avoidedUntilMs = 0;
  readonly #etcd: Etcd3;
  readonly #auth: EtcdConnection['auth'];
  #token: Promise<string> | undefined;
  #tokenInUse = '';

  constructor(address: string, { tls, auth }: EtcdConnection, callTimeoutMs: number) {
    this.address = address;
    this.#auth = auth;
    const interceptors = [this.#headers()];
    this.#etcd = new Etcd3({
      hosts: `${tls === undefined ? 'http' : 'https'}://${address}`,
      ...(tls === undefined ? {} : { credentials: credentialsOf(tls) }),
      grpcOptions: GRPC_OPTIONS,
      defaultCallOptions: ({ isStream }) => (isStream ? { interceptors } : { interceptors, deadline: Date.now() + callTimeoutMs }),
      faultHandling: { host: () => noop, global: noop },
    });
  }

  async call<T>(run: (etcd: Etcd3) => Promise<T>): Promise<T> {
    await this.#logIn();
    try {
      return await run(this.#etcd);
    } catch (thrown) {
      // A token refused is a call refused: nothing was done.
      if (this.#auth === undefined || !failureOf(thrown, '', this.address).tokenRefused) throw thrown;
      this.forgetToken();
      await this.#logIn();
      return run(this.#etcd);
    }
  }

  async open<S>(open: (etcd: Etcd3) => Promise<S>): Promise<S> {
    await this.#logIn();
    return open(this.#etcd);
  }

  forgetToken(): void {
    this.#token = undefined;
  }

  close(): void {
    this.#etcd.close();
  }

  async #logIn(): Promise<void> {
    if (this.#auth === undefined) return;
    this.#token ??= this.#authenticate(this.#auth.username, this.#auth.password);
    const token = this.#token;
    try {
      this.#tokenInUse = await token;
    } catch (thrown) {
      if (this.#token === token) this.#token = undefined;
      throw new LogInFailed({ ...failureOf(thrown, 'the log-in', this.address), nothingDone: true });
    }
  }

  async #authenticate(name: string, password: string): Promise<string> {
    this.#tokenInUse = '';
    try {
      return (await this.#etcd.auth.authenticate({ name, password })).token;
    } catch (thrown) {
      // As etcd's own client does: an operator may switch authentication on later.
      if (thrown instanceof Error && /authentication is not enabled/.test(thrown.message)) return '';
      throw thrown;
    }
  }

  #headers(): Interceptor {
    return (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start: (metadata, listener, next) => {
          // A member cut off from the others refuses at once, instead of serving what is old or waiting for its time-out.
          metadata.set('hasleader', 'true');
          if (this.#tokenInUse !== '') metadata.set('token', this.#tokenInUse);
          next(metadata, listener);
        },
      });
  }
}

class LogInFailed extends Error {
  readonly failure: EtcdFailure;

  constructor(failure: EtcdFailure) {
    super('the log-in failed');
    this.failure = failure;
  }
}

function credentialsOf({ ca, cert, key }: NonNullable<EtcdConnection['tls']>) {
  // Not buffers any more, when a thread was given them.
  return {
    rootCertificate: Buffer.from(ca ?? rootCertificates.join('\n')),
    ...(cert === undefined ? {} : { certChain: Buffer.from(cert) }),
    ...(key === undefined ? {} : { privateKey: Buffer.from(key) }),
  };
}
