import type { QueueAddress, QueueLag } from '@rocketmq-connect/message-log';
import type { PlainError } from '@rocketmq-connect/sdk';
import type { LevelTable, LogLevel } from '@rocketmq-connect/telemetry/log-levels';
import type { Histogram } from '@rocketmq-connect/telemetry/metrics/histogram';
import type { SpanData } from '@rocketmq-connect/tracing';

/**
 * What the control thread and a task host say to each other: plain data for a message port or pipe. Records never travel here.
 * The control side owns tokens, sequences and the conversation with config-service; a host owns the data path.
 */
export type HostCommand =
  /** Runs a task. Answered by `started` or `failed`. */
  | { readonly type: 'startTask'; readonly unit: string; readonly start: TaskStart }
  /** Runs a connector's `watch` hook, or for sinks the watch of its topics. Answered by `started` or `failed`; `replan` may follow. */
  | { readonly type: 'startConnector'; readonly unit: string; readonly start: ConnectorStart }
  | { readonly type: 'pause'; readonly unit: string }
  | { readonly type: 'resume'; readonly unit: string }
  /** Flushes and freezes what may be committed now. Answered by `frozen` or `failed`. One at a time per unit. */
  | { readonly type: 'freeze'; readonly unit: string; readonly freeze: number }
  /** The frozen content was stored, all pieces of it. */
  | { readonly type: 'committed'; readonly unit: string; readonly freeze: number }
  /** Ends the unit; answered by `stopped` with the last content. */
  | { readonly type: 'stop'; readonly unit: string }
  /** Asks plugin code; answered by `answer` with the same id. */
  | { readonly type: 'ask'; readonly id: number; readonly question: HostQuestion }
  /** Answered by `pong` as soon as the event loop turns. */
  | { readonly type: 'ping' }
  | { readonly type: 'setLogLevels'; readonly levels: LevelTable };

export type HostEvent =
  /** Loaded and listening. */
  | { readonly type: 'ready' }
  | { readonly type: 'started'; readonly unit: string }
  /** The unit's code has ended; nothing of it runs any more. */
  | { readonly type: 'failed'; readonly unit: string; readonly error: PlainError }
  /** Also while the unit stops, unasked and as `LAST_FREEZE`, where the log is to be told before the end what is stored. */
  | { readonly type: 'frozen'; readonly unit: string; readonly freeze: number; readonly content: CommitContent }
  /** The unit wants a commit soon: a sink asked, or a source must store marks before its first send to a topic. */
  | { readonly type: 'commitWanted'; readonly unit: string }
  | { readonly type: 'stopped'; readonly unit: string; readonly content: CommitContent | null }
  | { readonly type: 'replan'; readonly unit: string }
  /**
   * The unit's code did what its host should not outlive: it threw where nobody listens, called process.exit, or a hook of it does not end.
   * The host goes on until its other units have left. `hasFailed`: it failed of the error, and then did not end.
   */
  | { readonly type: 'culprit'; readonly unit: string; readonly error: PlainError; readonly hasFailed: boolean }
  | { readonly type: 'pong' }
  | { readonly type: 'answer'; readonly id: number; readonly result: HostAnswer | null; readonly error?: PlainError }
  /** Every 500 ms, only the units whose figures changed. Figures are of this incarnation of the unit. */
  | {
      readonly type: 'stats';
      readonly counters: Readonly<Record<string, TaskCounters>>;
      readonly meters: Readonly<Record<string, TaskMeters>>;
      /** Of the host since its start, where they changed. */
      readonly log: LogMeters | null;
    }
  /** Every second or so. `loopDelayMs`: the longest that the event loop was late since the last pulse. */
  | { readonly type: 'pulse'; readonly loopDelayMs: number; readonly heapBytes: number }
  /** Finished spans of sampled batches, and how many were dropped since the last ones because there were too many. */
  | { readonly type: 'spans'; readonly spans: readonly SpanData[]; readonly dropped: number }
  | { readonly type: 'logs'; readonly lines: readonly HostLogLine[] };

/** The content that a unit stops with. */
export const LAST_FREEZE = -1;

export interface HostLogLine {
  readonly level: LogLevel;
  readonly atMs: number;
  readonly message: string;
  /** connector, task, phase and what the plugin gave. */
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface TaskStart {
  readonly connector: string;
  readonly task: number;
  readonly generation: string;
  /** References such as ${env:X} unresolved: only the host resolves them. */
  readonly connectorConfig: Readonly<Record<string, string>>;
  readonly taskConfig: Readonly<Record<string, string>>;
  /** For sinks. */
  readonly queues: readonly QueueAddress[];
  readonly paused: boolean;
  readonly hookLimits: HookLimits;
  /** When the connector was created or its offsets reset; where `latest` begins. */
  readonly startTimeMs: number;
  /** Committed source offsets of the whole connector. */
  readonly offsets: readonly { readonly partition: string; readonly offset: string }[];
  /** Committed positions of this sink. */
  readonly positions: readonly { readonly queue: QueueAddress; readonly position: number }[];
  /** Name → JSON text. */
  readonly sinkStates: Readonly<Record<string, string>>;
  /**
   * Marks of commits after which nobody stopped cleanly: the host searches each queue from its mark for records that were sent
   * but not committed. Empty after a clean stop.
   */
  readonly uncleanMarks: readonly QueueMark[];
}

/** How long one call of a hook may take before the task counts as hung, ms; 0: as long as it wants. */
export interface HookLimits {
  readonly pollMs: number;
  readonly putMs: number;
  /** `flush` and `committed`. */
  readonly flushMs: number;
  /** What a task that has failed still does. */
  readonly stopMs: number;
}

export interface ConnectorStart {
  readonly connector: string;
  readonly connectorConfig: Readonly<Record<string, string>>;
}

export interface QueueMark {
  readonly queue: QueueAddress;
  readonly offset: number;
  /** Of an unclean end before this task's: whoever takes over partitions in this generation later needs it too. */
  readonly inherited?: true;
}

/** What a commit stores. Source offsets are JSON texts with sorted keys. Only what changed since the last committed content. */
export interface CommitContent {
  readonly offsets: readonly { readonly partition: string; readonly offset: string }[];
  readonly positions: readonly { readonly queue: QueueAddress; readonly position: number }[];
  readonly sinkStates: Readonly<Record<string, string>>;
  /** All marks, not only the changed ones: a queue may have one of its own and an inherited one. */
  readonly marks: readonly QueueMark[];
  /** Of sources: those that were sent to since the last frozen content. */
  readonly topics: readonly string[];
  /** Of the span that storing it is below; absent: it is not traced. */
  readonly traceparent?: string;
}

/** Invariant 9: polled = acknowledged + deduplicated + filtered + deadLettered + skipped + inFlight. */
export interface TaskCounters {
  polled: number;
  acknowledged: number;
  deduplicated: number;
  filtered: number;
  deadLettered: number;
  skipped: number;
  inFlight: number;
  /** Body bytes sent or put. */
  bytes: number;
  retries: number;
  /** -1 unknown. */
  lag: number;
}

/** What a task measures beside its ledger. */
export interface TaskMeters {
  /** Records that failed for good, by stage. */
  readonly recordErrors: Readonly<Record<string, number>>;
  /** Attempts at records that failed. */
  readonly recordFailures: number;
  readonly errorsLogged: number;
  readonly deadLetterRequests: number;
  readonly deadLetterFailures: number;
  /** Since the epoch; 0: no record failed. */
  readonly lastErrorAtMs: number;
  readonly histograms: TaskHistograms;
  /** Of sinks whose log has positions. */
  readonly queueLags: readonly QueueLag[];
  /** Of sources that tell it; canonical JSON of the partition. */
  readonly partitionLags: readonly { readonly partition: string; readonly lag: number }[];
}

/** Bounds: `poll`, `send`, `put`, `flush` SECONDS; `latency` LATENCY; `pollBatch`, `putBatch` BATCH (telemetry/metrics/histogram.ts). */
export interface TaskHistograms {
  poll?: Histogram;
  pollBatch?: Histogram;
  send?: Histogram;
  put?: Histogram;
  putBatch?: Histogram;
  flush?: Histogram;
  latency?: Histogram;
}

/** How a host's client of the message log does. */
export interface LogMeters {
  /** By operation and outcome: `send ok`, `send BROKER_BUSY`. */
  readonly requests: Readonly<Record<string, number>>;
  /** By operation; bounds SECONDS. */
  readonly durations: Readonly<Record<string, Histogram>>;
  readonly inFlight: number;
  readonly connections: number;
}

export type HostQuestion =
  /** The plugins this host can load. */
  | { readonly ask: 'catalogue' }
  | { readonly ask: 'describe'; readonly plugin: string; readonly version: string }
  | { readonly ask: 'validate'; readonly plugin: string; readonly config: Readonly<Record<string, string>> }
  | { readonly ask: 'plan'; readonly connectorConfig: Readonly<Record<string, string>>; readonly positions: readonly QueueAddress[] }
  | {
      readonly ask: 'alterOffsets';
      readonly connectorConfig: Readonly<Record<string, string>>;
      /** JSON texts; a null offset removes. */
      readonly offsets: readonly { readonly partition: string; readonly offset: string | null }[];
    };

export type HostAnswer =
  | {
      readonly ask: 'catalogue';
      readonly plugins: readonly PluginInfo[];
      readonly broken: readonly { readonly location: string; readonly error: string }[];
    }
  | { readonly ask: 'describe'; readonly plugin: PluginInfo; readonly keys: readonly ConfigKeyInfo[] }
  | { readonly ask: 'validate'; readonly validation: ConfigValidation }
  | { readonly ask: 'plan'; readonly tasks: readonly PlannedTask[] }
  | { readonly ask: 'alterOffsets' };

export interface PlannedTask {
  readonly config: Readonly<Record<string, string>>;
  readonly queues: readonly QueueAddress[];
}

export interface PluginInfo {
  readonly name: string;
  /** The class that Kafka Connect users write, or the name. */
  readonly class: string;
  readonly kind: 'source' | 'sink' | 'converter' | 'transform' | 'predicate';
  readonly version: string;
  readonly description: string;
  readonly aliases: readonly string[];
  readonly secretKeys: readonly string[];
}

/** One configuration key, in Kafka Connect's shape. */
export interface ConfigKeyInfo {
  readonly name: string;
  readonly type: 'STRING' | 'INT' | 'LONG' | 'DOUBLE' | 'BOOLEAN' | 'LIST' | 'PASSWORD' | 'CLASS';
  readonly required: boolean;
  readonly defaultValue: string | null;
  readonly importance: 'HIGH' | 'MEDIUM' | 'LOW';
  readonly documentation: string;
  readonly group: string;
  readonly orderInGroup: number;
  readonly width: 'NONE' | 'SHORT' | 'MEDIUM' | 'LONG';
  readonly displayName: string;
  readonly dependents: readonly string[];
  readonly secret: boolean;
}

export interface ConfigValidation {
  readonly name: string;
  readonly type: 'source' | 'sink';
  readonly version: string;
  readonly errorCount: number;
  readonly groups: readonly string[];
  readonly values: readonly {
    readonly definition: ConfigKeyInfo;
    readonly value: string | null;
    readonly recommendedValues: readonly string[];
    readonly errors: readonly string[];
    readonly visible: boolean;
  }[];
  /** The keys of this configuration whose values must be hidden, stages' keys too. */
  readonly secretKeys: readonly string[];
  /** What is accepted and probably not meant, e.g. a misspelt key. */
  readonly warnings: readonly string[];
}
