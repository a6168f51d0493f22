import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { decodeMessages, PropertyName, property } from '@rocketmq-connect/message-log/message';
import { SIMULATED_BROKER, SimulatedLog } from '@rocketmq-connect/message-log/simulated';
import { createHostRuntime, type HostRuntime } from '@rocketmq-connect/pipeline/host/host-runtime';
import type {
  CommitContent,
  HostEvent,
  HostLogLine,
  HostQuestion,
  QueueMark,
  TaskCounters,
  TaskMeters,
  TaskStart,
} from '@rocketmq-connect/pipeline/host-protocol';
import { type AnyPlugin, createCatalogue } from '@rocketmq-connect/pipeline/plugins/catalogue';
import { builtInStages } from '@rocketmq-connect/pipeline/stages/built-in';
import { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import type { PlainError } from '@rocketmq-connect/sdk';
import type { SpanData } from '@rocketmq-connect/tracing';
import type { SamplerSettings } from '@rocketmq-connect/tracing/sampler';
import { VirtualClock } from './virtual-clock.ts';

export const UNIT = 'tasks/c/0';

type Answer = Extract<HostEvent, { type: 'answer' }>;

/**
 * One host runtime on virtual time and a simulated log, with the control side played by the test: it stores commits as the runner and
 * config-service would, and can let the host die at any moment.
 */
export class HostWorld {
  readonly clock = new VirtualClock();
  readonly log = new SimulatedLog(this.clock);
  readonly deadline = new DeadlineWord();
  readonly env: Record<string, string> = {};
  readonly #plugins: readonly AnyPlugin[];
  readonly #random: () => number;
  readonly #positions: boolean;
  #incarnation = 0;
  #runtime: HostRuntime | null = null;
  #lastFreeze = 0;
  #freezing = false;
  #again = false;
  #lastQuestion = 0;

  /** What is stored. */
  readonly offsets = new Map<string, string>();
  readonly positions = new Map<string, { queue: QueueAddress; position: number }>();
  readonly sinkStates: Record<string, string> = {};
  marks: readonly QueueMark[] = [];
  released = true;
  commits = 0;
  /** What the commits were traced by. */
  readonly traceparents: (string | undefined)[] = [];
  /** How its batches are sampled; null: nothing is traced. */
  sampler: SamplerSettings | null = null;
  readonly spans: SpanData[] = [];
  droppedSpans = 0;
  /** Commits are answered; false holds them back. */
  answersCommits = true;

  /** Of the present incarnation. */
  state: 'none' | 'starting' | 'running' | 'failed' | 'stopped' = 'none';
  error: PlainError | null = null;
  counters: TaskCounters | null = null;
  meters: TaskMeters | null = null;
  lastContent: CommitContent | null | undefined;
  replans = 0;
  /** Sees every event first; those it answers false to are not for the world's own unit. */
  onEvent: (event: HostEvent) => boolean = () => true;
  readonly lines: HostLogLine[] = [];
  readonly #answers = new Map<number, Answer>();

  /** `positions` false: the log deals messages out by itself. */
  constructor(plugins: readonly AnyPlugin[], random: () => number = () => 0.5, positions = true) {
    this.#plugins = plugins;
    this.#random = random;
    this.#positions = positions;
    this.deadline.set(Number.MAX_SAFE_INTEGER / 1e6);
  }

  /** Runs the task from what is stored. */
  start(connectorConfig: Readonly<Record<string, string>>, more: Partial<TaskStart> = {}): void {
    this.state = 'starting';
    this.error = null;
    this.counters = null;
    this.lastContent = undefined;
    this.#freezing = false;
    this.#again = false;
    this.runtime().handle({
      type: 'startTask',
      unit: UNIT,
      start: {
        connector: 'c',
        task: 0,
        generation: '0000000000000001',
        connectorConfig,
        taskConfig: {},
        queues: [],
        paused: false,
        hookLimits: { pollMs: 0, putMs: 0, flushMs: 0, stopMs: 0 },
        startTimeMs: 0,
        offsets: [...this.offsets].map(([partition, offset]) => ({ partition, offset })),
        positions: [...this.positions.values()],
        sinkStates: { ...this.sinkStates },
        uncleanMarks: this.released ? [] : this.marks,
        ...more,
      },
    });
  }

  runtime(): HostRuntime {
    if (this.#runtime !== null) return this.#runtime;
    const incarnation = ++this.#incarnation;
    this.#runtime = createHostRuntime({
      log: mortal(this.log.connect(`host-${incarnation}`, { positions: this.#positions }), () => this.#incarnation === incarnation),
      catalogue: createCatalogue([...builtInStages, ...this.#plugins].map((plugin) => ({ plugin, location: 'test' }))),
      clock: this.clock,
      random: this.#random,
      deadline: this.deadline,
      sampler: this.sampler,
      references: { env: this.env, readFile: () => '' },
      post: (event) => {
        if (this.#incarnation === incarnation) this.#onEvent(event);
      },
    });
    return this.#runtime;
  }

  /** The host dies: nothing of it is heard any more, and what it has on its way to the log may arrive or not. */
  kill(): void {
    this.log.lose(`host-${this.#incarnation}`);
    this.#incarnation++;
    this.#runtime = null;
    this.state = 'none';
  }

  commit(): void {
    if (this.#freezing) {
      this.#again = true;
      return;
    }
    this.#freezing = true;
    this.runtime().handle({ type: 'freeze', unit: UNIT, freeze: ++this.#lastFreeze });
  }

  async committed(): Promise<void> {
    const before = this.commits;
    this.commit();
    await this.clock.until(() => this.commits > before || this.state === 'failed');
  }

  async stop(): Promise<void> {
    this.runtime().handle({ type: 'stop', unit: UNIT });
    await this.clock.until(() => this.state === 'stopped' || this.state === 'failed');
    this.#runtime = null;
  }

  async started(): Promise<void> {
    await this.clock.until(() => this.state !== 'starting');
  }

  async failed(): Promise<PlainError> {
    await this.clock.until(() => this.state === 'failed');
    return this.error as PlainError;
  }

  async ask(question: HostQuestion): Promise<Answer> {
    const id = ++this.#lastQuestion;
    this.runtime().handle({ type: 'ask', id, question });
    await this.clock.until(() => this.#answers.has(id));
    return this.#answers.get(id) as Answer;
  }

  /** The counters as of now. */
  async stats(): Promise<TaskCounters> {
    await this.clock.advance(1000);
    return this.counters as TaskCounters;
  }

  /** Messages of a topic by queue: body, key, record id and the rest of the properties. */
  messages(topic: string): { body: string; properties: string; id: string | undefined; key: string | undefined; queue: number }[][] {
    if (!this.log.topics().includes(topic)) return [];
    return this.log.describe(topic).queues.map((address) =>
      this.log.stored(address).flatMap(({ bytes }) => {
        const found: { body: string; properties: string; id: string | undefined; key: string | undefined; queue: number }[] = [];
        decodeMessages(bytes, (body, properties) =>
          found.push({
            body: body.toString(),
            properties,
            id: property(properties, PropertyName.id),
            key: property(properties, PropertyName.keys),
            queue: address.queue,
          }),
        );
        return found;
      }),
    );
  }

  bodies(topic: string): string[] {
    return this.messages(topic).flatMap((queue) => queue.map(({ body }) => body));
  }

  queues(topic: string): QueueAddress[] {
    return this.log.describe(topic).queues.map(({ queue }) => ({ topic, broker: SIMULATED_BROKER, queue }));
  }

  #onEvent(event: HostEvent): void {
    if (!this.onEvent(event)) return;
    if ('unit' in event && event.unit !== UNIT) return;
    switch (event.type) {
      case 'started':
        this.state = 'running';
        return;
      case 'failed':
        this.state = 'failed';
        this.error = event.error;
        this.released = false;
        return;
      case 'frozen':
        return this.#store(event.freeze, event.content);
      case 'commitWanted':
        return this.commit();
      case 'stopped':
        this.state = 'stopped';
        this.lastContent = event.content;
        if (event.content === null) return;
        this.#apply(event.content);
        this.released = true;
        return;
      case 'stats':
        this.counters = event.counters[UNIT] ?? this.counters;
        this.meters = event.meters[UNIT] ?? this.meters;
        return;
      case 'logs':
        this.lines.push(...event.lines);
        return;
      case 'spans':
        this.spans.push(...event.spans);
        this.droppedSpans += event.dropped;
        return;
      case 'replan':
        this.replans++;
        return;
      case 'answer':
        this.#answers.set(event.id, event);
    }
  }

  #store(freeze: number, content: CommitContent): void {
    if (!this.answersCommits) return;
    this.#apply(content);
    this.traceparents.push(content.traceparent);
    this.released = false;
    this.commits++;
    this.#freezing = false;
    this.#runtime?.handle({ type: 'committed', unit: UNIT, freeze });
    if (!this.#again) return;
    this.#again = false;
    this.commit();
  }

  #apply(content: CommitContent): void {
    for (const { partition, offset } of content.offsets) this.offsets.set(partition, offset);
    for (const position of content.positions) this.positions.set(JSON.stringify(position.queue), position);
    Object.assign(this.sinkStates, content.sinkStates);
    this.marks = content.marks;
  }
}

/** A connection whose answers nobody hears once its host is dead; nothing new reaches the log then. */
function mortal(log: MessageLog, isAlive: () => boolean): MessageLog {
  const never = new Promise<never>(() => undefined);
  const guard = <A extends unknown[], R>(call: (...args: A) => Promise<R>): ((...args: A) => Promise<R>) => {
    return async (...args) => {
      if (!isAlive()) return never;
      try {
        const result = await call(...args);
        return isAlive() ? result : never;
      } catch (error) {
        if (!isAlive()) return never;
        throw error;
      }
    };
  };
  return {
    capabilities: log.capabilities,
    describeTopic: guard((topic) => log.describeTopic(topic)),
    createTopic: guard((topic, settings) => log.createTopic(topic, settings)),
    listTopics: guard(() => log.listTopics()),
    deleteTopic: guard((topic) => log.deleteTopic(topic)),
    send: guard((queue, batch) => log.send(queue, batch)),
    flush: guard(() => log.flush()),
    minOffset: guard((queue) => log.minOffset(queue)),
    maxOffset: guard((queue) => log.maxOffset(queue)),
    offsetAt: guard((queue, timestampMs) => log.offsetAt(queue, timestampMs)),
    mirrorPosition: guard((group, queue, position) => log.mirrorPosition(group, queue, position)),
    close: guard(() => log.close()),
    subscribe: guard(async (group, topics) => {
      const subscription = await log.subscribe(group, topics);
      return {
        read: guard((maxBytes, waitMs, signal) => subscription.read(maxBytes, waitMs, signal)),
        acknowledge: guard((count) => subscription.acknowledge(count)),
        close: guard(() => subscription.close()),
      };
    }),
    assign: guard(async (group, assignments) => {
      const reader = await log.assign(group, assignments);
      return {
        read: guard((maxBytes, waitMs, signal) => reader.read(maxBytes, waitMs, signal)),
        seek: (queue, position) => reader.seek(queue, position),
        lags: () => reader.lags(),
        close: guard(() => reader.close()),
      };
    }),
  };
}
