import type { CallOptions, Client } from '@rocketmq-connect/mesh';
import { Mailbox } from '@rocketmq-connect/mesh/streams';
import type { CommitRequest, CommitResponse, CommitServiceDefinition } from '@rocketmq-connect/proto/commit';
import { type Clock, ConnectError } from '@rocketmq-connect/sdk';

/**
 * The one stream to config-service over which all tasks of a runner commit. Opened at the first piece and again after it broke; what was
 * outstanding then rejects with kind `unavailable`, and its sender repeats it.
 */
export class CommitStream {
  readonly #client: Client<CommitServiceDefinition>;
  readonly #clock: Clock;
  readonly #answerTimeoutMs: number;
  #open: OpenStream | null = null;

  constructor(client: Client<CommitServiceDefinition>, clock: Clock, answerTimeoutMs: number) {
    this.#client = client;
    this.#clock = clock;
    this.#answerTimeoutMs = answerTimeoutMs;
  }

  /** Resolves with the answer to this piece, whatever it says. */
  send(piece: CommitRequest): Promise<CommitResponse> {
    this.#open ??= this.#connect();
    const stream = this.#open;
    return new Promise((resolve, reject) => {
      // Half-open: nothing tells that the answers of this stream will never come.
      const cancelTimer = this.#clock.after(this.#answerTimeoutMs, () =>
        stream.end(unavailable(`config-service did not answer a commit within ${this.#answerTimeoutMs} ms`)),
      );
      stream.pending.set(keyOf(piece), {
        resolve: (response) => {
          cancelTimer();
          resolve(response);
        },
        reject: (error) => {
          cancelTimer();
          reject(error);
        },
      });
      stream.push(piece);
    });
  }

  close(): void {
    this.#open?.end(unavailable('the runner ends'));
  }

  #connect(): OpenStream {
    const abort = new AbortController();
    const outgoing = new Mailbox<CommitRequest>();
    const pending: OpenStream['pending'] = new Map();
    const stream: OpenStream = {
      pending,
      push: (piece) => outgoing.put(piece),
      end: (error) => {
        if (this.#open === stream) this.#open = null;
        outgoing.end();
        abort.abort(error);
        for (const waiting of pending.values()) waiting.reject(error);
        pending.clear();
      },
    };
    void this.#receive(stream, outgoing, { signal: abort.signal });
    return stream;
  }

  async #receive(stream: OpenStream, outgoing: Mailbox<CommitRequest>, options: CallOptions): Promise<void> {
    try {
      for await (const response of this.#client.commit(outgoing, options)) {
        const waiting = stream.pending.get(keyOf(response));
        stream.pending.delete(keyOf(response));
        waiting?.resolve(response);
      }
      stream.end(unavailable('config-service ended the commit stream'));
    } catch (error) {
      stream.end(error);
    }
  }
}

interface OpenStream {
  readonly pending: Map<string, { resolve(response: CommitResponse): void; reject(error: unknown): void }>;
  push(piece: CommitRequest): void;
  end(error: unknown): void;
}

function keyOf(piece: { connector: string; task: number; token: bigint; sequence: bigint }): string {
  return `${piece.connector}/${piece.task}/${piece.token}/${piece.sequence}`;
}

function unavailable(message: string): ConnectError {
  return new ConnectError('unavailable', message, { code: 'COMMIT_UNAVAILABLE' });
}
