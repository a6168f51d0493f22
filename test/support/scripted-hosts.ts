import type { CommitContent, HostAnswer, HostCommand, HostEvent, TaskStart } from '@rocketmq-connect/pipeline/host-protocol';
import type { HostExit, TaskHost, TaskHostListener, TaskHosts } from '@rocketmq-connect/pipeline/task-host';
import type { Clock, PlainError } from '@rocketmq-connect/sdk';

/** How the code of a connector behaves; what is not said goes well. */
export interface Script {
  /** Default: a source. */
  type?: 'sink';
  /** Tasks that a plan makes; default 1. */
  tasks?: number;
  /** Never answers this. */
  hangs?: 'start' | 'stop' | 'freeze' | 'plan' | 'validate' | 'startConnector';
  /** Only this task hangs; default all. */
  hangingTask?: number;
  fails?: { at: 'start' | 'plan' | 'startConnector'; error: PlainError };
}

/** One incarnation of a task as its host sees it: its source offset is a number that `produce` raises. */
export interface ScriptedTask {
  readonly unit: string;
  readonly host: ScriptedHost;
  readonly start: TaskStart;
  paused: boolean;
  position: number;
  committed: number[];
}

/** Hosts without plugin code: their connectors do what the test's scripts say. One per runner process. */
export class ScriptedHosts implements TaskHosts {
  readonly clock: Clock;
  readonly name: string;
  readonly scripts = new Map<string, Script>();
  readonly alive = new Set<ScriptedHost>();
  /** Every task that was started, oldest first. */
  readonly started: TaskStart[] = [];
  plugins: readonly string[] = ['Scripted'];
  #opened = 0;

  constructor(clock: Clock, name = 'host') {
    this.clock = clock;
    this.name = name;
  }

  open(listener: TaskHostListener): ScriptedHost {
    const host = new ScriptedHost(this, `${this.name}-${++this.#opened}`, listener);
    this.alive.add(host);
    return host;
  }

  /** The running incarnation of a task. */
  task(connector: string, task = 0): ScriptedTask | undefined {
    return this.tasks().find(({ start }) => start.connector === connector && start.task === task);
  }

  tasks(): ScriptedTask[] {
    return [...this.alive].flatMap((host) => [...host.tasks.values()]);
  }

  script(connector: string): Script {
    return this.scripts.get(connector) ?? {};
  }
}

export class ScriptedHost implements TaskHost {
  readonly id: string;
  readonly tasks = new Map<string, ScriptedTask>();
  readonly connectors = new Map<string, string>();
  readonly #hosts: ScriptedHosts;
  readonly #listener: TaskHostListener;
  /** Cannot be killed: for what must take the process with it. */
  immortal = false;
  #dead = false;
  #blocked = false;

  constructor(hosts: ScriptedHosts, id: string, listener: TaskHostListener) {
    this.#hosts = hosts;
    this.id = id;
    this.#listener = listener;
  }

  send(command: HostCommand): void {
    const copy = structuredClone(command);
    this.#later(() => this.#handle(copy));
  }

  kill(): void {
    if (!this.immortal) this.end({ reason: 'killed', message: 'ended by the runner' });
  }

  /** The loop of its thread is blocked: it hears and says nothing until it is killed. */
  block(): void {
    this.#blocked = true;
  }

  crash(): void {
    this.end({ reason: 'crashed', message: 'scripted' });
  }

  end(exit: HostExit): void {
    if (this.#dead) return;
    this.#dead = true;
    this.tasks.clear();
    this.#hosts.alive.delete(this);
    this.#hosts.clock.after(0, () => this.#listener.onExit(exit));
  }

  /** What the host says, a moment later. */
  say(event: HostEvent): void {
    this.#later(() => this.#listener.onEvent(event));
  }

  produce(task: ScriptedTask, records: number): void {
    task.position += records;
    const counters = { polled: task.position, acknowledged: task.position, deduplicated: 0, filtered: 0, deadLettered: 0, skipped: 0 };
    const figures = { ...counters, inFlight: 0, bytes: 0, retries: 0, lag: 0 };
    this.say({ type: 'stats', counters: { [task.unit]: figures }, meters: {}, log: null });
  }

  fail(task: ScriptedTask, error: PlainError): void {
    this.tasks.delete(task.unit);
    this.say({ type: 'failed', unit: task.unit, error });
  }

  #later(act: () => void): void {
    this.#hosts.clock.after(1, () => {
      if (!this.#dead && !this.#blocked) act();
    });
  }

  #handle(command: HostCommand): void {
    if (command.type === 'ask') return this.#answer(command);
    if (command.type === 'setLogLevels') return;
    if (command.type === 'ping') return this.say({ type: 'pong' });
    if (command.type === 'startTask') return this.#startTask(command.unit, command.start);
    if (command.type === 'startConnector') {
      const { hangs, fails } = this.#hosts.script(command.start.connector);
      if (hangs === 'startConnector') return;
      if (fails?.at === 'startConnector') return this.say({ type: 'failed', unit: command.unit, error: fails.error });
      this.connectors.set(command.unit, command.start.connector);
      return this.say({ type: 'started', unit: command.unit });
    }
    if (command.type === 'stop' && this.connectors.delete(command.unit)) {
      return this.say({ type: 'stopped', unit: command.unit, content: null });
    }
    const task = this.tasks.get(command.unit);
    if (task !== undefined) this.#tell(task, command);
  }

  #startTask(unit: string, start: TaskStart): void {
    const { hangs, fails } = this.#hosts.script(start.connector);
    if (hangs === 'start') return;
    if (fails?.at === 'start') return this.say({ type: 'failed', unit, error: fails.error });
    const offset = start.offsets.find(({ partition }) => partition === partitionOf(start.task))?.offset;
    const position = offset === undefined ? 0 : (JSON.parse(offset) as { position: number }).position;
    this.#hosts.started.push(start);
    this.tasks.set(unit, { unit, host: this, start, paused: start.paused, position, committed: [] });
    this.say({ type: 'started', unit });
  }

  #tell(task: ScriptedTask, command: HostCommand): void {
    const { hangs: hang, hangingTask } = this.#hosts.script(task.start.connector);
    const hangs = hangingTask === undefined || hangingTask === task.start.task ? hang : undefined;
    switch (command.type) {
      case 'pause':
        task.paused = true;
        return;
      case 'resume':
        task.paused = false;
        return;
      case 'freeze':
        if (hangs !== 'freeze') this.say({ type: 'frozen', unit: task.unit, freeze: command.freeze, content: contentOf(task) });
        return;
      case 'committed':
        task.committed.push(command.freeze);
        return;
      case 'stop':
        if (hangs === 'stop') return;
        this.tasks.delete(task.unit);
        this.say({ type: 'stopped', unit: task.unit, content: contentOf(task) });
        return;
      default:
        throw new Error(`a scripted host does not know ${command.type}`);
    }
  }

  #answer({ id, question }: Extract<HostCommand, { type: 'ask' }>): void {
    const connector =
      'connectorConfig' in question ? question.connectorConfig['name'] : 'config' in question ? question.config['name'] : '';
    const { type = 'source', hangs, fails, tasks = 1 } = this.#hosts.script(connector ?? '');
    if (hangs === question.ask) return;
    if (fails?.at === question.ask) return this.say({ type: 'answer', id, result: null, error: fails.error });
    const plugins = this.#hosts.plugins.map((name) => plugin(name));
    const answers: Record<typeof question.ask, () => HostAnswer> = {
      catalogue: () => ({ ask: 'catalogue', plugins, broken: [] }),
      describe: () => ({ ask: 'describe', plugin: plugin('Scripted'), keys: [] }),
      validate: () => ({
        ask: 'validate',
        validation: {
          name: 'Scripted',
          type,
          version: '1.0.0',
          errorCount: 0,
          groups: [],
          values: [],
          secretKeys: [],
          warnings: [],
        },
      }),
      plan: () => ({
        ask: 'plan',
        tasks: Array.from({ length: tasks }, (_, task) => ({ config: { share: `${task} of ${tasks}` }, queues: [] })),
      }),
      alterOffsets: () => ({ ask: 'alterOffsets' }),
    };
    this.say({ type: 'answer', id, result: answers[question.ask]() });
  }
}

function plugin(name: string) {
  return { name, class: name, kind: 'source', version: '1.0.0', description: '', aliases: [], secretKeys: [] } as const;
}

function partitionOf(task: number): string {
  return `{"task":${task}}`;
}

function contentOf({ start, position }: ScriptedTask): CommitContent {
  const offsets = [{ partition: partitionOf(start.task), offset: `{"position":${position}}` }];
  const marks = [{ queue: { topic: 't', broker: 'b', queue: start.task }, offset: position }];
  return { offsets, positions: [], sinkStates: {}, marks, topics: ['t'] };
}
