import { type ConnectError, sleep, toPlainError } from '@rocketmq-connect/sdk';
import { hideSecretsInError } from '../config/secrets.ts';
import type { ConnectorStart } from '../host-protocol.ts';
import { queueKey } from '../queues.ts';
import type { UnitHooks } from './hook-watch.ts';
import type { Host } from './host.ts';
import { sinkQueues } from './sink-queues.ts';
import { type ResolvedConnector, resolveConnector } from './task-body.ts';
import type { HostUnit } from './unit.ts';

/** While there is nothing to read at all, its coming is what everybody waits for. */
const NO_TOPIC_LOOK_MS = 200;
const REPLAN_EVERY_MS = 1000;

/** A connector instance: watches for what needs a new task set. */
export class ConnectorUnit implements HostUnit {
  readonly #host: Host;
  readonly #unit: string;
  readonly #hooks: UnitHooks;
  readonly #stop = new AbortController();
  readonly #watching: Promise<void>;

  constructor(host: Host, unit: string, hooks: UnitHooks, start: ConnectorStart) {
    this.#host = host;
    this.#unit = unit;
    this.#hooks = hooks;
    const connector = resolveConnector(host, start.connectorConfig);
    host.post({ type: 'started', unit });
    this.#watching = this.#watch(connector, start);
  }

  setPaused(): void {}

  async freeze(freeze: number): Promise<void> {
    this.#host.post({
      type: 'frozen',
      unit: this.#unit,
      freeze,
      content: { offsets: [], positions: [], sinkStates: {}, marks: [], topics: [] },
    });
  }

  async committed(): Promise<void> {}

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the connector is to stop'));
    await this.#watching;
    this.#host.remove(this.#unit);
    this.#host.post({ type: 'stopped', unit: this.#unit, content: null });
  }

  async #watch(connector: ResolvedConnector, start: ConnectorStart): Promise<void> {
    const { definition, config, secrets } = connector;
    const { signal } = this.#stop;
    const replan = (): void => {
      if (!signal.aborted) this.#host.post({ type: 'replan', unit: this.#unit });
    };
    try {
      if (definition.kind === 'source') await this.#hooks.call('watch', 0, () => definition.watch?.(config, this.#calmly(replan), signal));
      else await this.#watchTopics(connector, start, replan);
    } catch (error) {
      if (signal.aborted) return;
      this.#stop.abort(error);
      this.#host.remove(this.#unit);
      this.#host.post({ type: 'failed', unit: this.#unit, error: toPlainError(hideSecretsInError(error, secrets)) });
    }
  }

  /** At once, and then once a second at most: a plan asks the outside system, and a plugin may call as often as it likes. */
  #calmly(ask: () => void): () => void {
    const { clock } = this.#host;
    const { signal } = this.#stop;
    let isResting = false;
    let again = false;
    const askOrWait = (): void => {
      if (signal.aborted) return;
      again = isResting;
      if (isResting) return;
      isResting = true;
      ask();
      const cancel = clock.after(REPLAN_EVERY_MS, () => {
        signal.removeEventListener('abort', cancel);
        isResting = false;
        if (again) askOrWait();
      });
      signal.addEventListener('abort', cancel, { once: true });
    };
    return askOrWait;
  }

  /** Asks for a plan at the first look too: a topic may have come since the last plan was made. */
  async #watchTopics({ settings }: ResolvedConnector, { connector }: ConnectorStart, replan: () => void): Promise<void> {
    const { log, clock, logs } = this.#host;
    const { signal } = this.#stop;
    // The log deals out whatever comes: only a plan that was made for another log is not right.
    if (!log.capabilities.assign) return replan();
    const logger = logs.logger(() => ({ connector, phase: 'watch' }));
    let known: string | undefined;
    while (!signal.aborted) {
      try {
        const now = (await sinkQueues(log, settings, [])).map(queueKey).join('\n');
        if (now !== known) replan();
        known = now;
      } catch (error) {
        // The tasks say what is wrong with the log; here it only means that nothing new can be seen.
        logger.debug('the topics cannot be looked at', { error: (error as ConnectError).message });
      }
      const everyMs = settings.topicDiscoveryIntervalMs;
      await sleep(clock, known === '' ? Math.min(everyMs, NO_TOPIC_LOOK_MS) : everyMs, signal).catch(() => undefined);
    }
  }
}
