import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { createHostRuntime, type HostRuntime } from '@rocketmq-connect/pipeline/host/host-runtime';
import type { CommitContent, HostEvent, TaskCounters, TaskStart } from '@rocketmq-connect/pipeline/host-protocol';
import { type AnyPlugin, createCatalogue } from '@rocketmq-connect/pipeline/plugins/catalogue';
import { builtInStages } from '@rocketmq-connect/pipeline/stages/built-in';
import { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import { defineSink, defineSource, type PlainError, type SinkRecord, type SourceRecord, Type } from '@rocketmq-connect/sdk';

const UNIT = 'tasks/real/0';

/** One task in a host of its own, on a real log and in real time; commits are kept here. */
export class RealTask {
  error: PlainError | null = null;
  readonly positions = new Map<string, number>();
  counters: TaskCounters | null = null;
  readonly warnings: string[] = [];
  readonly #runtime: HostRuntime;
  #stopped = false;

  constructor(log: MessageLog, plugin: AnyPlugin, config: Readonly<Record<string, string>>, start: Partial<TaskStart> = {}) {
    const deadline = new DeadlineWord();
    deadline.set(Number.MAX_SAFE_INTEGER / 1e6);
    this.#runtime = createHostRuntime({
      log,
      catalogue: createCatalogue([...builtInStages, plugin].map((each) => ({ plugin: each, location: 'test' }))),
      clock: systemClock,
      random: Math.random,
      deadline,
      references: { env: {}, readFile: () => '' },
      post: (event) => setImmediate(() => this.#onEvent(event)),
    });
    this.#runtime.handle({
      type: 'startTask',
      unit: UNIT,
      start: {
        connector: 'real',
        task: 0,
        generation: '0000000000000001',
        connectorConfig: { 'connector.class': plugin.name, ...config },
        taskConfig: {},
        queues: [],
        paused: false,
        hookLimits: { pollMs: 0, putMs: 0, flushMs: 0, stopMs: 0 },
        startTimeMs: 0,
        offsets: [],
        positions: [],
        sinkStates: {},
        uncleanMarks: [],
        ...start,
      },
    });
  }

  async stop(): Promise<void> {
    if (this.error === null) {
      this.#runtime.handle({ type: 'stop', unit: UNIT });
      await eventually(() => this.#stopped || this.error !== null);
    }
    await this.#runtime.close();
  }

  #onEvent(event: HostEvent): void {
    switch (event.type) {
      case 'commitWanted':
        this.#runtime.handle({ type: 'freeze', unit: UNIT, freeze: 1 });
        return;
      case 'frozen':
        this.#store(event.content);
        this.#runtime.handle({ type: 'committed', unit: UNIT, freeze: event.freeze });
        return;
      case 'stopped':
        if (event.content !== null) this.#store(event.content);
        this.#stopped = true;
        return;
      case 'failed':
        this.error = event.error;
        return;
      case 'stats':
        this.counters = event.counters[UNIT] ?? this.counters;
        return;
      case 'logs':
        this.warnings.push(...event.lines.filter(({ level }) => level === 'warn').map(({ message }) => message));
    }
  }

  #store(content: CommitContent): void {
    for (const { queue, position } of content.positions) this.positions.set(JSON.stringify(queue), position);
  }
}

/** A source that gives these records, and no others. */
function sourceOf(records: readonly Omit<SourceRecord, 'partition' | 'offset'>[], deterministic = true) {
  let given = false;
  const partition = { test: 'real' };
  return defineSource({
    name: 'Given',
    version: '1',
    config: Type.Object({}),
    deterministic,
    task: (_config, context) => ({
      poll: async () => {
        if (given) await context.sleep(50);
        if (given) return null;
        given = true;
        return { records: records.map((record, position) => ({ ...record, partition, offset: { position: position + 1 } })) };
      },
    }),
  });
}

/** A sink that puts what it gets into `records`. */
function sinkInto(records: SinkRecord[]) {
  return defineSink({
    name: 'Kept',
    version: '1',
    config: Type.Object({}),
    task: () => ({ put: (more) => void records.push(...more) }),
  });
}

/** Sends the records, waits until each went one way or another, and stops. */
export async function sendRecords(
  log: MessageLog,
  records: readonly Omit<SourceRecord, 'partition' | 'offset'>[],
  config: Readonly<Record<string, string>> = {},
): Promise<RealTask> {
  const task = new RealTask(log, sourceOf(records), config);
  await eventually(() => task.error !== null || (task.counters?.polled === records.length && task.counters.inFlight === 0));
  await task.stop();
  return task;
}

/** What a sink gets of these queues, from its positions or their beginning, until it has so many records. Throws the error that it fails of. */
export async function readRecords(
  log: MessageLog,
  queues: readonly QueueAddress[],
  count: number,
  config: Readonly<Record<string, string>> = {},
  positions: TaskStart['positions'] = [],
): Promise<readonly SinkRecord[]> {
  const records: SinkRecord[] = [];
  const task = new RealTask(log, sinkInto(records), { topics: queues[0]?.topic ?? '', ...config }, { queues, positions });
  await eventually(() => records.length >= count || task.error !== null);
  await task.stop();
  if (task.error !== null) throw new Error(`${task.error.code}: ${task.error.message}`);
  return records;
}

async function eventually(condition: () => boolean | Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  const until = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > until) throw new Error(`still not so after ${timeoutMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
