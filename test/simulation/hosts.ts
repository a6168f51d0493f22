import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import type { SimulatedLog } from '@rocketmq-connect/message-log/simulated';
import type { HostCommand, HostEvent } from '@rocketmq-connect/pipeline/host-protocol';
import { createCatalogue } from '@rocketmq-connect/pipeline/plugins/catalogue';
import { builtInStages } from '@rocketmq-connect/pipeline/stages/built-in';
import type { DeadlineWord, TaskHost, TaskHostListener, TaskHosts } from '@rocketmq-connect/pipeline/task-host';
import { type Clock, type Random, sleep } from '@rocketmq-connect/sdk';
import { type SimulatedHost, SimulatedHosts } from '@rocketmq-connect/task-runner-service/hosts/simulated-hosts';
import { type CodeObserver, simulatedConnectors } from './connectors.ts';
import type { OutsideSink, OutsideSource } from './outside.ts';
import type { SimulatedProcess } from './process.ts';

/** What the invariants want to know of what runs in hosts. `host` is unique. */
export interface HostObserver {
  opened(host: ObservedHost, unit: string): void;
  runs(host: ObservedHost, unit: string, what: string): void;
  closed(host: ObservedHost, unit: string): void;
  sends(host: ObservedHost, queue: QueueAddress): void;
  says(host: ObservedHost, event: HostEvent): void;
  died(host: ObservedHost): void;
}

/** A task host and the process that it is a thread of. */
export interface ObservedHost {
  readonly id: string;
  readonly runner: string;
  readonly process: SimulatedProcess;
  readonly deadline: DeadlineWord;
}

export interface ObservedHostsOptions {
  readonly runner: string;
  readonly process: SimulatedProcess;
  readonly world: Clock;
  readonly random: Random;
  readonly deadline: DeadlineWord;
  readonly log: SimulatedLog;
  readonly source: OutsideSource;
  readonly sink: OutsideSink;
  readonly observer: HostObserver;
  readonly troubleRate: () => number;
  /** How long something takes to the log or back. */
  readonly logDelayMs: () => number;
  readonly wrapLog: (log: MessageLog) => MessageLog;
}

/** Simulated hosts of one runner process that tell what runs in them, and reach the log over a network. */
export class ObservedHosts implements TaskHosts {
  readonly #options: ObservedHostsOptions;
  readonly #alive = new Map<string, SimulatedHost>();
  #opened = 0;

  constructor(options: ObservedHostsOptions) {
    this.#options = options;
  }

  get alive(): readonly SimulatedHost[] {
    return [...this.#alive.values()];
  }

  open(listener: TaskHostListener): TaskHost {
    const { process, runner, random, deadline, source, sink, observer, troubleRate } = this.#options;
    const observed: ObservedHost = { id: `${process.name}-h${++this.#opened}`, runner, process, deadline };
    let dead = false;
    const code: CodeObserver = {
      opened: (unit) => dead || process.dead || observer.opened(observed, unit),
      runs: (unit, what) => {
        if (dead || process.dead) throw new Error('the host is dead');
        observer.runs(observed, unit, what);
      },
      closed: (unit) => dead || process.dead || observer.closed(observed, unit),
    };
    const connectors = simulatedConnectors({
      source,
      sink,
      observer: code,
      random,
      troubleRate,
      enter: (act) => process.enter(() => dead || act()),
    });
    const network = new HostNetwork(this.#options, observed);
    const hosts = new SimulatedHosts({
      catalogue: createCatalogue([...builtInStages, ...connectors].map((plugin) => ({ plugin, location: 'simulation' }))),
      clock: process.clock,
      random,
      deadline,
      name: observed.id,
      connectLog: () => ({
        log: network.log,
        release: () => {
          dead = true;
          this.#alive.delete(observed.id);
          network.close();
          observer.died(observed);
        },
      }),
    });
    const handle = hosts.open({
      onEvent: (event) => {
        observer.says(observed, event);
        listener.onEvent(event);
      },
      onExit: (exit) => listener.onExit(exit),
    });
    const [host] = hosts.alive;
    if (host !== undefined) this.#alive.set(observed.id, host);
    return { id: observed.id, send: (command: HostCommand) => handle.send(command), kill: () => handle.kill() };
  }

  /** The process is gone, and its threads with it. */
  kill(): void {
    for (const host of this.alive) host.kill();
  }
}

/** A host's connection to the log. What has not arrived when the host ends never will: it died in its memory. */
class HostNetwork {
  readonly log: MessageLog;
  readonly #options: ObservedHostsOptions;
  readonly #host: string;
  #closed = false;

  constructor(options: ObservedHostsOptions, host: ObservedHost) {
    this.#options = options;
    this.#host = host.id;
    const inner = options.wrapLog(options.log.connect(host.id));
    this.log = {
      capabilities: inner.capabilities,
      describeTopic: (topic) => this.#call(() => inner.describeTopic(topic)),
      createTopic: (topic, settings) => this.#call(() => inner.createTopic(topic, settings)),
      listTopics: () => this.#call(() => inner.listTopics()),
      deleteTopic: (topic) => this.#call(() => inner.deleteTopic(topic)),
      send: (queue, batch) => {
        if (!this.#closed) options.observer.sends(host, queue);
        return this.#call(() => inner.send(queue, batch));
      },
      flush: () => this.#call(() => inner.flush()),
      minOffset: (queue) => this.#call(() => inner.minOffset(queue)),
      maxOffset: (queue) => this.#call(() => inner.maxOffset(queue)),
      offsetAt: (queue, timestampMs) => this.#call(() => inner.offsetAt(queue, timestampMs)),
      mirrorPosition: (group, queue, position) => this.#call(() => inner.mirrorPosition(group, queue, position)),
      close: () => inner.close(),
      subscribe: async (group, topics) => {
        const subscription = await this.#call(() => inner.subscribe(group, topics));
        return {
          read: (maxBytes, waitMs, signal) => this.#call(() => subscription.read(maxBytes, waitMs, signal)),
          acknowledge: (count) => this.#call(() => subscription.acknowledge(count)),
          close: () => this.#call(() => subscription.close()),
        };
      },
      assign: async (group, assignments) => {
        const reader = await this.#call(() => inner.assign(group, assignments));
        return {
          read: (maxBytes, waitMs, signal) => this.#call(() => reader.read(maxBytes, waitMs, signal)),
          seek: (queue, position) => reader.seek(queue, position),
          lags: () => reader.lags(),
          close: () => this.#call(() => reader.close()),
        };
      },
    };
  }

  close(): void {
    this.#closed = true;
    this.#options.log.lose(this.#host);
  }

  /** There on the world's time, since a packet that left goes on when its sender is suspended; back into the process. */
  #call<T>(make: () => Promise<T>): Promise<T> {
    const { process, world, logDelayMs } = this.#options;
    return new Promise((resolve, reject) => {
      if (this.#closed) return;
      const arrive = async (): Promise<T> => {
        await sleep(world, logDelayMs());
        if (this.#closed || process.dead) return new Promise<never>(() => undefined);
        return make();
      };
      const back = (settle: () => void): void => {
        world.after(logDelayMs(), () => process.enter(() => this.#closed || settle()));
      };
      arrive().then(
        (value) => back(() => resolve(value)),
        (error: unknown) => back(() => reject(error)),
      );
    });
  }
}
