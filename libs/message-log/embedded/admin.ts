import type { MessagePort } from 'node:worker_threads';
import { FatalError, fromPlainError, type PlainError, toPlainError } from '@rocketmq-connect/sdk';

/** What a client asks the main thread, which owns the registry of topics. Sends and reads need no answer of it. */
export type AdminQuestion =
  | { readonly ask: 'describe'; readonly topic: string }
  | { readonly ask: 'create'; readonly topic: string; readonly queues: number }
  | { readonly ask: 'delete'; readonly topic: string }
  | { readonly ask: 'list' };

/** Where a topic's queues lie: one slot of control memory and one directory each. */
export interface TopicPlace {
  readonly id: number;
  readonly topic: string;
  readonly queues: readonly { readonly slot: number; readonly directory: string }[];
}

export type AdminAnswer = TopicPlace | readonly string[] | null;

interface Asked {
  readonly id: number;
  readonly question: AdminQuestion;
}

interface Answered {
  readonly id: number;
  readonly answer: AdminAnswer;
  readonly error?: PlainError;
}

/** Answers the questions that come in on a port; does not keep the process alive. */
export function answerQuestions(port: MessagePort, answer: (question: AdminQuestion) => Promise<AdminAnswer>): void {
  port.on('message', async ({ id, question }: Asked) => {
    try {
      port.postMessage({ id, answer: await answer(question) } satisfies Answered);
    } catch (error) {
      port.postMessage({ id, answer: null, error: toPlainError(error) } satisfies Answered);
    }
  });
  port.unref();
}

/** Asks over a port; keeps the thread alive only while an answer is due. */
export class AdminClient {
  readonly #port: MessagePort;
  readonly #waiting = new Map<number, { resolve(answer: AdminAnswer): void; reject(error: Error): void }>();
  #lastId = 0;
  #closed = false;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on('message', ({ id, answer, error }: Answered) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) port.unref();
      if (error === undefined) waiting?.resolve(answer);
      else waiting?.reject(fromPlainError(error));
    });
    port.on('close', () => this.#end());
    port.unref();
  }

  describe(topic: string): Promise<TopicPlace> {
    return this.#ask({ ask: 'describe', topic }) as Promise<TopicPlace>;
  }

  create(topic: string, queues: number): Promise<TopicPlace> {
    return this.#ask({ ask: 'create', topic, queues }) as Promise<TopicPlace>;
  }

  async delete(topic: string): Promise<void> {
    await this.#ask({ ask: 'delete', topic });
  }

  list(): Promise<readonly string[]> {
    return this.#ask({ ask: 'list' }) as Promise<readonly string[]>;
  }

  close(): void {
    this.#port.close();
    this.#end();
  }

  #ask(question: AdminQuestion): Promise<AdminAnswer> {
    if (this.#closed) return Promise.reject(logClosed());
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#waiting.set(id, { resolve, reject });
      this.#port.ref();
      this.#port.postMessage({ id, question } satisfies Asked);
    });
  }

  #end(): void {
    this.#closed = true;
    for (const { reject } of this.#waiting.values()) reject(logClosed());
    this.#waiting.clear();
  }
}

export function logClosed(): FatalError {
  return new FatalError('the embedded message log is closed', { code: 'LOG_CLOSED' });
}
