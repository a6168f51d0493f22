import type { HostAnswer, HostEvent, HostQuestion } from '@rocketmq-connect/pipeline/host-protocol';
import type { HostExit } from '@rocketmq-connect/pipeline/task-host';
import { type Clock, ConnectError, fromPlainError } from '@rocketmq-connect/sdk';
import type { HostPool } from './host-pool.ts';

/** Answers of one kind. */
export type AnswerTo<Q extends HostQuestion['ask']> = Extract<HostAnswer, { readonly ask: Q }>;

/**
 * Most answers take a few milliseconds: a question waits this long for the host of another before it has a host started, which costs
 * more time and some 20 MB. What hangs in one plugin so delays the questions to others no longer than this.
 */
const PATIENCE_MS = 300;

/**
 * Asks plugin code in a host where no unit runs, one question at a time per host. Plugin code that does not answer in time costs its
 * host and nobody else; the error names what was asked (S052).
 */
export class Questions {
  readonly #pool: HostPool;
  readonly #clock: Clock;
  readonly #concurrencyMax: number;
  readonly #waiting = new Set<() => void>();
  #asking = 0;
  #lastId = 0;

  constructor(pool: HostPool, clock: Clock, concurrencyMax: number) {
    this.#pool = pool;
    this.#clock = clock;
    this.#concurrencyMax = concurrencyMax;
  }

  /** `sharing`: the answer needs no plugin code, so a host where units run may give it. */
  async ask<Q extends HostQuestion>(question: Q, timeoutMs: number, signal?: AbortSignal, sharing = false): Promise<AnswerTo<Q['ask']>> {
    while (this.#asking >= this.#concurrencyMax) await this.#anotherEnded();
    if (!sharing && this.#asking > 0 && !this.#pool.hasIdleHost) await this.#anotherEnded(PATIENCE_MS);
    this.#asking++;
    try {
      return (await this.#askNow(question, timeoutMs, signal, sharing)) as AnswerTo<Q['ask']>;
    } finally {
      this.#asking--;
      const [next] = this.#waiting;
      next?.();
    }
  }

  #anotherEnded(limitMs?: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        cancelTimer();
        this.#waiting.delete(wake);
        resolve();
      };
      const cancelTimer = limitMs === undefined ? () => {} : this.#clock.after(limitMs, wake);
      this.#waiting.add(wake);
    });
  }

  #askNow(question: HostQuestion, timeoutMs: number, signal: AbortSignal | undefined, sharing: boolean): Promise<HostAnswer> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        cancelTimer();
        signal?.removeEventListener('abort', onAbort);
        settle();
      };
      const giveUp = (error: ConnectError): void => {
        host.kill();
        finish(() => reject(error));
      };
      const onAbort = (): void => giveUp(unanswered(question, 'was cancelled', 'TIMEOUT'));
      const onEvent = (event: HostEvent): void => {
        if (event.type !== 'answer' || event.id !== id) return;
        const { result, error } = event;
        finish(() => {
          host.giveBack();
          if (result !== null && error === undefined) resolve(result);
          else reject(error === undefined ? unanswered(question, 'got no answer', 'PLUGIN_FAILED') : fromPlainError(error));
        });
      };
      const onExit = (exit: HostExit): void =>
        finish(() => reject(unanswered(question, `ended its host: ${exit.message || exit.reason}`, 'PLUGIN_CRASHED')));
      const host = this.#pool.borrow(onEvent, onExit, sharing);
      const cancelTimer = this.#clock.after(timeoutMs, () => giveUp(unanswered(question, `took longer than ${timeoutMs} ms`, 'TIMEOUT')));
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted) onAbort();
      else host.send({ type: 'ask', id, question });
    });
  }
}

function unanswered(question: HostQuestion, what: string, code: string): ConnectError {
  const of = 'plugin' in question ? ` of ${question.plugin}` : '';
  return new ConnectError('fatal', `${question.ask}${of} ${what}`, {
    code,
    remedy: 'look at the plugin: what it does here must end, and must not need long',
  });
}
