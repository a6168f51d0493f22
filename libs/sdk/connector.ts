import type { Static, TObject } from 'typebox';
import type { ConnectError } from './errors.ts';
import type { JsonValue, SinkRecord, SourceOffset, SourcePartition, SourceRecord } from './record.ts';

/** Settings of one task, over the connector's configuration. Never put secrets here: every task has the whole configuration. */
export type TaskConfig = Readonly<Record<string, string>>;

export interface PlanContext {
  /** `tasks.max`; a longer plan is refused. */
  readonly maxTasks: number;
  readonly signal: AbortSignal;
}

/** Logs with the connector, task and phase already attached. */
export interface TaskLogger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export interface TaskContext {
  readonly connector: string;
  readonly task: number;
  readonly log: TaskLogger;
  /** Aborted when the task must stop. Pass it to whatever waits. */
  readonly signal: AbortSignal;
  /** Waits; rejects with the signal's reason when the task stops. */
  sleep(ms: number): Promise<void>;
  /** Milliseconds since the epoch, virtual in simulations. */
  now(): number;
}

export interface SourceTaskContext extends TaskContext {
  /** The committed offset of a partition, or undefined where there is none. Offsets are those at the start of this task. */
  offset(partition: SourcePartition): SourceOffset | undefined;
  /** All committed offsets of this connector. */
  offsets(): readonly { readonly partition: SourcePartition; readonly offset: SourceOffset }[];
}

export interface SinkTaskContext extends TaskContext {
  /**
   * When the connector was created or its offsets were last reset, in ms since the epoch. Whatever a sink left in the outside system
   * under another start time belongs to an earlier life, whose states and positions are gone.
   */
  readonly startTimeMs: number;
  /** Hands a record that this sink cannot take to the error policy (dead-letter topic or skip); resolves when it is durable there. */
  report(record: SinkRecord, error: ConnectError): Promise<void>;
  /** Asks for a flush and commit soon. */
  requestCommit(): void;
}

export interface SourceBatch {
  readonly records: readonly SourceRecord[];
  /** Handed back by `committed` once this batch and all earlier ones are acknowledged and committed. Any value. */
  readonly checkpoint?: unknown;
}

export interface SourceTask {
  start?(): Promise<void> | void;
  /**
   * The next records. Waits (mind the signal) until there are some or a moment has passed; null or no records says "nothing now".
   * Not called again before the last call has ended, nor while too many bytes are in flight.
   */
  poll(signal: AbortSignal): Promise<SourceBatch | null> | SourceBatch | null;
  /**
   * After a commit was stored: the latest checkpoint whose batch and all earlier ones, over all source partitions, were
   * acknowledged, filtered or dead-lettered when the commit was frozen. A shared upstream position may advance to it, no further.
   */
  committed?(checkpoint: unknown): Promise<void> | void;
  /** Bytes or records between what was polled and what the outside system has now; for the lag figure. Asked twice a second. */
  lag?(): number;
  /** The same per partition, where it can be told, instead of `lag` or beside it: the sum is the task's where it has no `lag`. */
  lags?(): readonly { readonly partition: SourcePartition; readonly lag: number }[];
  /** Frees everything. Called once, also after a failed start. */
  stop?(): Promise<void> | void;
}

/** What a sink returns from `flush`, by a name it chooses (its file, its upload); stored with the positions. At most 64 KiB each. */
export type SinkState = Readonly<Record<string, JsonValue>>;

export interface QueueId {
  readonly topic: string;
  readonly broker: string;
  readonly queue: number;
}

export interface SinkTask {
  start?(): Promise<void> | void;
  /** The queues this task reads and the states its last committed `flush` returned, before the first `put`. */
  open?(queues: readonly QueueId[], state: SinkState): Promise<void> | void;
  /**
   * Takes records, in order per queue. May buffer: they count as delivered only after the next `flush`. A `RetriableError` makes
   * the same records come again after a backoff.
   */
  put(records: readonly SinkRecord[], signal: AbortSignal): Promise<void> | void;
  /** Makes everything put so far durable. Positions (and the returned state, in one transaction) are committed after it. */
  flush?(): Promise<SinkState | undefined> | SinkState | undefined;
  close?(queues: readonly QueueId[]): Promise<void> | void;
  stop?(): Promise<void> | void;
}

interface ConnectorDefinition<C extends TObject> {
  /** What users write as `connector.class`. */
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  /** Other names it goes by, e.g. the Java class that Kafka Connect users have in their configs. The first with a dot is shown as its class. */
  readonly aliases?: readonly string[];
  /** The single source of types, validation, docs and forms. Values arrive as strings and are converted by it. */
  readonly config: C;
  /** Rules over several keys; each problem names its key. */
  readonly validate?: (config: Static<C>) => readonly { readonly field: string; readonly message: string }[];
  /** Tries the connection. */
  readonly check?: (config: Static<C>, context: PlanContext) => Promise<void> | void;
}

export interface SourceDefinition<C extends TObject = TObject> extends ConnectorDefinition<C> {
  readonly kind: 'source';
  /** Same offset → same record, always (files, change streams). Turns on exactly once into the log. */
  readonly deterministic?: boolean;
  /** Divides the work; one entry per task. Default: one task. */
  readonly plan?: (config: Static<C>, context: PlanContext) => Promise<readonly TaskConfig[]> | readonly TaskConfig[];
  /** Runs beside the tasks, on one runner; calls `replan` when the task set should change. Ends with the signal. */
  readonly watch?: (config: Static<C>, replan: () => void, signal: AbortSignal) => Promise<void>;
  readonly task: (config: Static<C>, context: SourceTaskContext, taskConfig: TaskConfig) => SourceTask;
  /** May refuse (throw) a user's edit of offsets; `null` removes. */
  readonly alterOffsets?: (
    config: Static<C>,
    offsets: readonly { readonly partition: SourcePartition; readonly offset: SourceOffset | null }[],
  ) => Promise<void> | void;
}

export interface SinkDefinition<C extends TObject = TObject> extends ConnectorDefinition<C> {
  readonly kind: 'sink';
  /** Takes text values as `Buffer` of UTF-8 instead of `string`: nothing is decoded that nobody reads. */
  readonly textAsBuffer?: boolean;
  /** `flush` returns state, so a task may have at most 50 queues (positions and state are one transaction). */
  readonly keepsState?: boolean;
  readonly task: (config: Static<C>, context: SinkTaskContext) => SinkTask;
}

// biome-ignore lint/suspicious/noExplicitAny: a catalogue holds definitions of every configuration type.
export type AnyConnector = SourceDefinition<any> | SinkDefinition<any>;

/** Declares a source connector; export it as default or by any name from a plugin module. */
export function defineSource<C extends TObject>(definition: Omit<SourceDefinition<C>, 'kind'>): SourceDefinition<C> {
  return { kind: 'source', ...definition };
}

/** Declares a sink connector. */
export function defineSink<C extends TObject>(definition: Omit<SinkDefinition<C>, 'kind'>): SinkDefinition<C> {
  return { kind: 'sink', ...definition };
}
