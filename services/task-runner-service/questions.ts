import type { HostAnswer, HostEvent, HostQuestion } from '@rocketmq-connect/pipeline/host-protocol';
import { type Clock, ConnectError, fromPlainError } from '@rocketmq-connect/sdk';
import type { HostPool } from './host-pool.ts';

/** Answers of one kind. */
export type AnswerTo<Q extends HostQuestion['ask']> = Extract<HostAnswer, { readonly ask: Q }>;

/**
 * Asks plugin code in a host where no unit runs, one question at a time per host. Plugin code that does not answer in time costs its
 * host and nobody else; the error names what was asked (S052).
 */
export class Questions {
  readonly #pool: HostPool;
  readonly #clock: Clock;
  readonly #concurrencyMax: number;
  readonly #waiting: (() => void)[] = [];
  #asking = 0;
  #lastId = 0;

  constructor(pool: HostPool, clock: Clock, concurrencyMax: number) {
    this.#pool = pool;
    this.#clock = clock;
    this.#concurrencyMax = concurrencyMax;
  }

  async ask<Q extends HostQuestion>(question: Q, timeoutMs: number, signal?: AbortSignal): Promise<AnswerTo<Q['ask']>> {
    while (this.#asking >= this.#concurrencyMax) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#asking++;
    try {
      return (await this.#askNow(question, timeoutMs, signal)) as AnswerTo<Q['ask']>;
    } finally {
      this.#asking--;
      this.#waiting.shift()?.();
    }
  }

  #askNow(question: HostQuestion, timeoutMs: number, signal?: AbortSignal): Promise<HostAnswer> {
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
      const host = this.#pool.borrow(onEvent, (exit) =>
        finish(() => reject(unanswered(question, `ended its host: ${exit.message || exit.reason}`, 'PLUGIN_CRASHED'))),
      );
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
