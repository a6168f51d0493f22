import type { TObject } from 'typebox';
import type { SourceBatch, SourceDefinition, SourceTask } from '../connector.ts';
import type { SourceOffset, SourcePartition, SourceRecord } from '../record.ts';
import { within } from './check.ts';
import { typedConfig } from './config.ts';
import { type LogLine, taskContext } from './context.ts';

/** What survives a run: the committed offset of each source partition, as JSON text, as a store has it. */
export class CommittedOffsets {
  readonly #offsets = new Map<string, string>();

  set(partition: SourcePartition, offset: SourceOffset): void {
    this.#offsets.set(textOf(partition), JSON.stringify(offset));
  }

  get(partition: SourcePartition): SourceOffset | undefined {
    const text = this.#offsets.get(textOf(partition));
    return text === undefined ? undefined : JSON.parse(text);
  }

  all(): { partition: SourcePartition; offset: SourceOffset }[] {
    return [...this.#offsets].map(([partition, offset]) => ({
      partition: Object.fromEntries(JSON.parse(partition)),
      offset: JSON.parse(offset),
    }));
  }
}

/** The tasks of a source connector from their start to their end, polled by the test. */
export class SourceRun {
  /** All that was polled. */
  readonly records: SourceRecord[] = [];
  readonly logs: LogLine[];
  readonly #committed: CommittedOffsets;
  readonly #tasks: readonly SourceTask[];
  readonly #abort: AbortController;
  readonly #polls = new Map<SourceTask, Promise<Answer>>();
  /** Polled and not committed, in the order of polls. */
  #pending: { readonly task: SourceTask; readonly batch: SourceBatch }[] = [];

  private constructor(tasks: readonly SourceTask[], abort: AbortController, committed: CommittedOffsets, logs: LogLine[]) {
    this.#tasks = tasks;
    this.#abort = abort;
    this.#committed = committed;
    this.logs = logs;
  }

  /** Plans and starts the tasks, which resume from `committed`. */
  static async start<C extends TObject>(
    definition: SourceDefinition<C>,
    texts: Readonly<Record<string, string>>,
    committed: CommittedOffsets = new CommittedOffsets(),
  ): Promise<SourceRun> {
    const config = typedConfig(definition, texts);
    const abort = new AbortController();
    const logs: LogLine[] = [];
    const maxTasks = Number(texts['tasks.max'] ?? 1);
    const plan = (await definition.plan?.(config, { maxTasks, signal: abort.signal })) ?? [{}];
    if (plan.length > maxTasks) throw new Error(`The plan has ${plan.length} tasks, more than tasks.max (${maxTasks})`);
    const atStart = new CommittedOffsets();
    for (const { partition, offset } of committed.all()) atStart.set(partition, offset);
    const tasks = plan.map((taskConfig, task) => {
      const context = {
        ...taskContext(texts['name'] ?? 'connector', task, abort.signal, logs),
        offset: (partition: SourcePartition) => atStart.get(partition),
        offsets: () => atStart.all(),
      };
      return definition.task(config, context, taskConfig);
    });
    const run = new SourceRun(tasks, abort, committed, logs);
    try {
      for (const task of tasks) await task.start?.();
    } catch (error) {
      await run.kill();
      throw error;
    }
    return run;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Polls all tasks that are not being polled already; what came of the first one to answer. */
  async poll(): Promise<readonly SourceRecord[]> {
    for (const task of this.#tasks) {
      if (this.#polls.has(task)) continue;
      this.#polls.set(
        task,
        Promise.resolve(task.poll(this.#abort.signal)).then(
          (batch) => ({ task, batch }),
          (error: unknown) => ({ task, error }),
        ),
      );
    }
    const answer = await Promise.race(this.#polls.values());
    this.#polls.delete(answer.task);
    if ('error' in answer) throw answer.error;
    const { task, batch } = answer;
    if (batch === null) return [];
    this.#pending.push({ task, batch });
    this.records.push(...batch.records);
    return batch.records;
  }

  /** Polls until `done` says so of all records. */
  async until(done: (records: readonly SourceRecord[]) => boolean, timeoutMs = 10_000): Promise<void> {
    const startedMs = performance.now();
    while (!done(this.records)) {
      if (performance.now() - startedMs > timeoutMs) throw new Error(`Not reached in ${timeoutMs} ms, with ${this.records.length} records`);
      await this.poll();
    }
  }

  /** What comes within `ms`. Ends the run as `kill` does, since a poll that waits can be ended in no other way. */
  async last(ms: number): Promise<readonly SourceRecord[]> {
    const before = this.records.length;
    const end = performance.now() + ms;
    const timer = setTimeout(() => this.#abort.abort(new Error('stopped')), ms);
    try {
      while (performance.now() < end) await this.poll().catch(this.#unlessAborted);
    } finally {
      clearTimeout(timer);
      await this.kill();
    }
    return this.records.slice(before);
  }

  #unlessAborted = (error: unknown): void => {
    if (!this.#abort.signal.aborted) throw error;
  };

  /** Commits the first `batches` of what was polled and not committed; all by default. Gives their records. */
  async commit(batches = this.#pending.length): Promise<readonly SourceRecord[]> {
    const done = this.#pending.splice(0, batches);
    for (const { batch } of done) for (const { partition, offset } of batch.records) this.#committed.set(partition, offset);
    for (const task of this.#tasks) {
      const last = done.findLast((entry) => entry.task === task && entry.batch.checkpoint !== undefined);
      if (last !== undefined) await task.committed?.(last.batch.checkpoint);
    }
    return done.flatMap(({ batch }) => batch.records);
  }

  /** Per source partition, of the tasks that tell it. */
  get lags(): readonly { readonly partition: SourcePartition; readonly lag: number }[] {
    return this.#tasks.flatMap((task) => task.lags?.() ?? []);
  }

  /** As the tasks tell it: the sum of those that know. */
  get lag(): number {
    const ofPartitions = (task: SourceTask): number => (task.lags?.() ?? []).reduce((sum, { lag }) => sum + lag, 0);
    return this.#tasks.reduce((sum, task) => sum + Math.max(0, task.lag?.() ?? ofPartitions(task)), 0);
  }

  /** How many batches were polled and not committed. */
  get uncommitted(): number {
    return this.#pending.length;
  }

  /** Ends the run with nothing committed. A real death frees what the tasks hold; here `stop` has to. */
  async kill(): Promise<void> {
    this.#pending = [];
    this.#abort.abort(new Error('stopped'));
    await within(10_000, 'poll after the abort', Promise.all(this.#polls.values()));
    for (const task of this.#tasks) await within(10_000, 'stop', task.stop?.());
  }

  /** Commits, and stops cleanly. */
  async stop(): Promise<void> {
    await this.commit();
    await this.kill();
  }
}

type Answer = { readonly task: SourceTask; readonly batch: SourceBatch | null } | { readonly task: SourceTask; readonly error: unknown };

function textOf(partition: SourcePartition): string {
  return JSON.stringify(Object.entries(partition).sort(([a], [b]) => (a < b ? -1 : 1)));
}
