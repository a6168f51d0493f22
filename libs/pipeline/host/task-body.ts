import {
  type AnyConnector,
  ConfigError,
  type PlainError,
  sleep,
  type TaskContext,
  type TaskLogger,
  toPlainError,
} from '@rocketmq-connect/sdk';
import { resolveReferences } from '../config/references.ts';
import { hideSecretsInError, secretValues } from '../config/secrets.ts';
import { type PipelineSettings, pipelineSettings } from '../config/settings.ts';
import { connectorConfig } from '../config/validation.ts';
import { DeadLetters } from '../dead-letters.ts';
import { ErrorPlace } from '../errors.ts';
import type { CommitContent, TaskCounters, TaskStart } from '../host-protocol.ts';
import { Meters } from '../meters.ts';
import { pluginInfo } from '../plugins/catalogue.ts';
import { emptyCounters } from '../task-counters.ts';
import { TaskSpans } from '../tracing/task-spans.ts';
import type { UnitHooks } from './hook-watch.ts';
import type { Host } from './host.ts';

/** A task of either kind, as its unit drives it. */
export interface TaskBody {
  readonly counters: TaskCounters;
  readonly meters: Meters;
  /** Brings the figures up to date that nothing counts: lags, what is in flight. */
  sample(): void;
  readonly logger: TaskLogger;
  start(): Promise<void>;
  /** Until the unit's stop signal. Does not reject. */
  run(): Promise<void>;
  setPaused(paused: boolean): void;
  freeze(freeze: number): Promise<CommitContent | null>;
  committed(freeze: number): Promise<void>;
  /** After `run`: makes everything durable; what may be committed last, or null where the end is not clean. */
  finish(): Promise<CommitContent | null>;
  /** Frees everything. Called once, also after a failed start. */
  end(): Promise<void>;
  /** For the status: no secret is in it. */
  plainError(error: unknown): PlainError;
}

export interface ResolvedConnector<D extends AnyConnector = AnyConnector> {
  readonly definition: D;
  /** Typed, defaults applied. */
  readonly config: never;
  readonly resolved: Readonly<Record<string, string>>;
  readonly settings: PipelineSettings;
  readonly secrets: readonly string[];
}

/** A connector's configuration, ready for its code. Throws `ConfigError` without secrets. */
export function resolveConnector(host: Host, connectorConfigTexts: Readonly<Record<string, string>>): ResolvedConnector {
  const name = connectorConfigTexts['connector.class'];
  if (name === undefined) {
    throw new ConfigError('the configuration has no connector.class', { field: 'connector.class', remedy: 'Name a connector plugin.' });
  }
  const definition = host.catalogue.connector(name.trim(), connectorConfigTexts['connector.plugin.version']?.trim());
  const resolved = resolveReferences(connectorConfigTexts, host.references);
  const secrets = secretValues(connectorConfigTexts, resolved, host.references, pluginInfo(definition).secretKeys);
  for (const secret of secrets) host.secrets.add(secret);
  try {
    return { definition, config: connectorConfig(definition, resolved) as never, resolved, settings: pipelineSettings(resolved), secrets };
  } catch (error) {
    throw hideSecretsInError(error, secrets);
  }
}

/** What sources and sinks have in common when they start. */
export function taskParts(host: Host, start: TaskStart, connector: ResolvedConnector, stopSignal: AbortSignal) {
  const { clock, random, log } = host;
  const { settings, secrets } = connector;
  const counters = emptyCounters();
  const meters = new Meters(clock);
  const phase = { now: 'start' };
  const hide = (error: unknown): unknown => hideSecretsInError(error, secrets);
  const plainError = (error: unknown): PlainError => toPlainError(hide(error));
  const spans =
    host.spans === null
      ? null
      : new TaskSpans({
          host: host.spans,
          clock,
          random,
          connector: start.connector,
          task: start.task,
          records: settings.traceRecords,
          errorText: (error) => plainError(error).message,
        });
  const logger = host.logs.logger(
    () => ({ connector: start.connector, task: start.task, phase: phase.now, ...spans?.logFields() }),
    secrets,
  );
  const topic = settings.errors.deadLetterTopic;
  const deadLetters =
    topic === '' || settings.errors.tolerance === 'none'
      ? null
      : new DeadLetters({
          log,
          topic,
          creation: settings.topicCreation,
          durability: settings.sendDurability,
          retryDelayMaxMs: settings.errors.logRetryDelayMaxMs,
          clock,
          random,
          meters,
          signal: stopSignal,
        });
  const errors = new ErrorPlace({
    settings: settings.errors,
    connector: start.connector,
    connectorClass: connector.definition.name,
    task: start.task,
    deadLetters,
    counters,
    meters,
    log: logger,
    clock,
    random,
    signal: stopSignal,
    hide,
  });
  return { counters, meters, phase, logger, errors, spans, plainError };
}

/** The context of plugin code; `signal` is what it calls its stop. */
export function taskContext(host: Host, start: TaskStart, log: TaskLogger, signal: AbortSignal, hooks: UnitHooks): TaskContext {
  return {
    connector: start.connector,
    task: start.task,
    log,
    signal,
    sleep: (ms) => hooks.rest(sleep(host.clock, ms, signal)),
    now: () => host.clock.now(),
  };
}
