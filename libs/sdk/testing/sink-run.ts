import type { TObject } from 'typebox';
import type { QueueId, SinkDefinition, SinkState, SinkTask } from '../connector.ts';
import type { ConnectError } from '../errors.ts';
import type { SinkRecord } from '../record.ts';
import { within } from './check.ts';
import { typedConfig } from './config.ts';
import { type LogLine, taskContext } from './context.ts';

/** What survives a run: how many records are committed, and the states that `flush` returned with them. */
export class CommittedSink {
  position = 0;
  /** Another one is another life of the connector: its offsets were reset. */
  startTimeMs = 1;
  #states = new Map<string, string>();

  /** Stored together, as one transaction does. */
  set(position: number, states: SinkState): void {
    this.position = position;
    for (const [name, state] of Object.entries(states)) this.#states.set(name, JSON.stringify(state));
  }

  /** As a user's reset of the offsets does. */
  reset(): void {
    this.position = 0;
    this.startTimeMs += 1;
    this.#states = new Map();
  }

  states(): SinkState {
    return Object.fromEntries([...this.#states].map(([name, state]) => [name, JSON.parse(state)]));
  }
}

/** One task of a sink connector from its start to its end; the test puts, flushes, commits and kills. */
export class SinkRun {
  readonly logs: LogLine[];
  /** What the sink reported as records it cannot take. */
  readonly reported: { readonly record: SinkRecord; readonly error: ConnectError }[] = [];
  readonly #task: SinkTask;
  readonly #abort: AbortController;
  readonly #committed: CommittedSink;
  #put: number;
  #frozen: { readonly position: number; readonly states: SinkState } | undefined;
  #commitsWanted = 0;

  private constructor(
    start: (run: { report(record: SinkRecord, error: ConnectError): Promise<void>; requestCommit(): void }) => SinkTask,
    abort: AbortController,
    committed: CommittedSink,
    logs: LogLine[],
  ) {
    this.#abort = abort;
    this.#committed = committed;
    this.#put = committed.position;
    this.logs = logs;
    this.#task = start({
      report: async (record, error) => {
        this.reported.push({ record, error });
      },
      requestCommit: () => {
        this.#commitsWanted += 1;
      },
    });
  }

  /** Starts and opens the task with the committed states. */
  static async start<C extends TObject>(
    definition: SinkDefinition<C>,
    texts: Readonly<Record<string, string>>,
    committed: CommittedSink = new CommittedSink(),
    task = 0,
  ): Promise<SinkRun> {
    const config = typedConfig(definition, texts);
    const abort = new AbortController();
    const logs: LogLine[] = [];
    const context = taskContext(texts['name'] ?? 'connector', task, abort.signal, logs);
    const { startTimeMs } = committed;
    const run = new SinkRun((hooks) => definition.task(config, { ...context, startTimeMs, ...hooks }), abort, committed, logs);
    try {
      await run.#task.start?.();
      await run.#task.open?.([testQueue], committed.states());
      return run;
    } catch (error) {
      await run.kill();
      throw error;
    }
  }

  /** How many records were put, those of earlier runs that were committed included: the next one to put. */
  get position(): number {
    return this.#put;
  }

  /** How often the task asked for a commit. */
  get commitsWanted(): number {
    return this.#commitsWanted;
  }

  /** Puts values as the next records of the queue. */
  async put(...values: readonly unknown[]): Promise<void> {
    const first = this.#put;
    const records = values.map((value, index) => ({ topic: testQueue.topic, value, origin: { ...testQueue, offset: first + index } }));
    await this.#task.put(records, this.#abort.signal);
    this.#put += values.length;
  }

  /** Flushes; what it covers is what the next `commit` stores. */
  async flush(): Promise<SinkState> {
    const states = (await this.#task.flush?.()) ?? {};
    this.#frozen = { position: this.#put, states };
    return states;
  }

  /** Stores what the last flush covered. */
  commit(): void {
    if (this.#frozen !== undefined) this.#committed.set(this.#frozen.position, this.#frozen.states);
    this.#frozen = undefined;
  }

  /** Ends the run with nothing more flushed or committed. A real death frees what the task holds; here `stop` has to. */
  async kill(): Promise<void> {
    this.#abort.abort(new Error('stopped'));
    await within(10_000, 'stop', this.#task.stop?.());
  }

  /** Flushes, commits, and stops cleanly. */
  async stop(): Promise<void> {
    await this.flush();
    this.commit();
    await this.#task.close?.([testQueue]);
    await this.kill();
  }
}

const testQueue: QueueId = { topic: 'test', broker: 'broker', queue: 0 };
