import type { HostAnswer, HostEvent, HostQuestion } from '@rocketmq-connect/pipeline/host-protocol';
import type { HostExit } from '@rocketmq-connect/pipeline/task-host';
import { type Clock, ConnectError, fromPlainError } from '@rocketmq-connect/sdk';
import type { HostPool, Loan } from './host-pool.ts';
import { homeOf } from './isolation.ts';

/** Answers of one kind. */
export type AnswerTo<Q extends HostQuestion['ask']> = Extract<HostAnswer, { readonly ask: Q }>;

export interface AskOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** The answer needs no plugin code, so a host where units run may give it. */
  readonly sharing?: boolean;
}

/**
 * Most answers take a few milliseconds: a question waits this long for the host of another before it has a host started, which costs
 * more time and some 20 MB. What hangs in one plugin so delays the questions to others no longer than this.
 */
const PATIENCE_MS = 300;

/** What takes longer than this probably hangs: it is no reason for others to wait. */
const SLOW_AFTER_MS = 1000;
/** Slow questions for each that may be asked at a time, so that the memory of their hosts has a bound. */
const SLOW_FACTOR = 4;

/**
 * Asks plugin code in a host where no unit runs, one question at a time per host. Plugin code that does not answer in time costs its
 * host and nobody else; the error names what was asked (S052).
 */
export class Questions {
  readonly #pool: HostPool;
  readonly #clock: Clock;
  readonly #concurrencyMax: number;
  readonly #waiting = new Set<() => void>();
  #quick = 0;
  #slow = 0;
  #lastId = 0;

  /** `concurrencyMax`: questions at a time, not counting those that hang. */
  constructor(pool: HostPool, clock: Clock, concurrencyMax: number) {
    this.#pool = pool;
    this.#clock = clock;
    this.#concurrencyMax = concurrencyMax;
  }

  async ask<Q extends HostQuestion>(question: Q, options: AskOptions): Promise<AnswerTo<Q['ask']>> {
    while (this.#isFull()) await this.#anotherEnded();
    const loan = this.#loanFor(question, options.sharing === true);
    if (!loan.sharing && this.#quick > 0 && !this.#pool.hasIdleHost(loan.kind)) await this.#anotherEnded(PATIENCE_MS);
    const finished = this.#count();
    try {
      return (await this.#askOnce(question, loan, options)) as AnswerTo<Q['ask']>;
    } catch (error) {
      // Where units run, it was one of them that ended the host.
      if (!loan.sharing || !(error instanceof HostGone)) throw error;
      return (await this.#askOnce(question, { ...loan, sharing: false }, options)) as AnswerTo<Q['ask']>;
    } finally {
      finished();
    }
  }

  /** A connector that has hosts of another kind is asked there. */
  #loanFor(question: HostQuestion, sharing: boolean): Loan {
    const config = 'connectorConfig' in question ? question.connectorConfig : 'config' in question ? question.config : {};
    const { kind } = homeOf('', config);
    const runsHooks = !sharing && question.ask !== 'catalogue' && question.ask !== 'describe';
    // Where there are none of that kind, the answer says so.
    return { kind: this.#pool.has(kind) ? kind : 'thread', runsHooks, sharing };
  }

  #isFull(): boolean {
    return this.#quick >= this.#concurrencyMax || this.#slow >= this.#concurrencyMax * SLOW_FACTOR;
  }

  #count(): () => void {
    let slow = false;
    this.#quick++;
    const cancel = this.#clock.after(SLOW_AFTER_MS, () => {
      slow = true;
      this.#quick--;
      this.#slow++;
      this.#wakeNext();
    });
    return () => {
      cancel();
      if (slow) this.#slow--;
      else this.#quick--;
      this.#wakeNext();
    };
  }

  #wakeNext(): void {
    const [next] = this.#waiting;
    next?.();
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

  #askOnce(question: HostQuestion, loan: Loan, { timeoutMs, signal }: AskOptions): Promise<HostAnswer> {
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
      const onExit = (exit: HostExit): void => finish(() => reject(new HostGone(question, exit)));
      const host = this.#pool.borrow(loan, onEvent, onExit);
      const cancelTimer = this.#clock.after(timeoutMs, () => giveUp(unanswered(question, `took longer than ${timeoutMs} ms`, 'TIMEOUT')));
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted) onAbort();
      else host.send({ type: 'ask', id, question });
    });
  }
}

function unanswered(question: HostQuestion, what: string, code: string): ConnectError {
  return new ConnectError('fatal', `${describe(question)} ${what}`, { code, remedy: REMEDY });
}

class HostGone extends ConnectError {
  constructor(question: HostQuestion, exit: HostExit) {
    const message = `${describe(question)} ended its host: ${exit.message || exit.reason}`;
    super('fatal', message, { code: 'PLUGIN_CRASHED', remedy: REMEDY });
  }
}

function describe(question: HostQuestion): string {
  return `${question.ask}${'plugin' in question ? ` of ${question.plugin}` : ''}`;
}

const REMEDY = 'look at the plugin: what it does here must end, and must not need long';
