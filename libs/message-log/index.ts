/**
 * Topics, queues and batches: the port to RocketMQ. One batch is one contiguous buffer in RocketMQ's batch layout (see
 * `message.ts`), written once and sliced when read, so that no adapter copies or re-encodes a record.
 */
export interface MessageLog {
  readonly capabilities: LogCapabilities;
  /** Queues that records may be sent to and read from; `DataError` code TOPIC_NOT_FOUND if there is no such topic. */
  describeTopic(topic: string): Promise<TopicDescription>;
  /**
   * Idempotent; an existing topic keeps its queues (never fewer) and gets the attributes. Names: 1–127 of [A-Za-z0-9_%|.-]. Rejects with
   * `ConfigError`, field `queues` or `attributes`, for what the log does not take.
   */
  createTopic(topic: string, settings: TopicSettings): Promise<TopicDescription>;
  listTopics(): Promise<readonly string[]>;
  deleteTopic(topic: string): Promise<void>;
  /**
   * Appends a batch to one queue; resolves when it is stored. The caller keeps one batch in flight per queue. Rejects with `RetriableError`,
   * code SEND_OUTCOME_UNKNOWN when it may be stored (`maxOffset` then tells the end when it is, or never will be); with `DataError`
   * MESSAGE_TOO_LARGE for a batch that the log takes in parts at most.
   */
  send(queue: QueueAddress, batch: MessageBatch): Promise<SendResult>;
  /** Makes everything acknowledged so far durable against a power failure. Called before positions that rely on it are committed. */
  flush(): Promise<void>;
  /** Reads queues from positions of the caller's own; one per sink task; `group` as `groupName` makes it. Where `capabilities.assign`. */
  assign(group: string, assignments: readonly { readonly queue: QueueAddress; readonly position: number }[]): Promise<QueueReader>;
  /**
   * Receives messages of topics as a member of a group, whose position the log keeps; one per sink task. The log deals them out to the
   * members and waits for their acknowledgement, so they come at least once. Topics may come into being later. Where `capabilities.subscribe`.
   */
  subscribe(group: string, topics: readonly string[]): Promise<Subscription>;
  /** The lowest stored position, the next position to be written, or the first position at or after a time. */
  minOffset(queue: QueueAddress): Promise<number>;
  maxOffset(queue: QueueAddress): Promise<number>;
  offsetAt(queue: QueueAddress, timestampMs: number): Promise<number>;
  /** Mirrors a group's position for the tools of the log; never read back. No-op where the log has no such thing. */
  mirrorPosition(group: string, queue: QueueAddress, position: number): Promise<void>;
  /** Open ones to servers, where there are any. */
  connections?(): number;
  close(): Promise<void>;
}

export interface LogCapabilities {
  /**
   * Queues have positions: `assign`, `minOffset`, `maxOffset`, `offsetAt`, and the offset in a `SendResult`. Without it there is
   * `subscribe`, a batch goes to the queue that the log chooses, and nothing that needs positions can be: editing them, exactly once.
   */
  readonly assign: boolean;
  readonly subscribe: boolean;
  /** Topics can be created, listed and deleted. */
  readonly createTopic: boolean;
  /** Messages can be delivered later: `MessageBatch.delayMs`. */
  readonly delay: boolean;
  /** The most that a single message may have, in bytes, where it is not `MAX_BATCH_BYTES`; brokers may take less. */
  readonly messageBytesMax?: number;
  /** Processes of their own can use it, each by a connection (ADR 0001 says why the embedded log cannot). */
  readonly processes: boolean;
  /** Names of topics may have dots. */
  readonly dottedTopics: boolean;
}

export interface TopicSettings {
  /** Per broker. */
  readonly queues: number;
  /** Attributes of RocketMQ 5 by name, for example `message.type`: `FIFO`. Logs that know none pass them over. */
  readonly attributes?: Readonly<Record<string, string>>;
}

export interface QueueAddress {
  readonly topic: string;
  readonly broker: string;
  readonly queue: number;
}

export interface QueueLag {
  readonly queue: QueueAddress;
  readonly lag: number;
}

export interface TopicDescription {
  readonly topic: string;
  /** Those to read from, sorted by broker, then queue. */
  readonly queues: readonly QueueAddress[];
  /** Those to send to, where they are others: the topic shrinks, or is read-only on a broker. */
  readonly writable?: readonly QueueAddress[];
}

/** Messages back to back in RocketMQ's batch layout. The buffer must not change until the send has ended. */
export interface MessageBatch {
  readonly bytes: Buffer;
  readonly count: number;
  /**
   * Of a batch of one message: it gets into its queue so long after the log has it. Several may be in flight per queue: their order is that
   * of their times. Where `capabilities.delay`.
   */
  readonly delayMs?: number;
}

export interface SendResult {
  /** Position of the batch's first message; the others follow it without a gap. -1 where queues have no positions, and for delayed messages. */
  readonly offset: number;
  /** The batch is stored, but by the log's own word not yet as safely as it is set up to: what is missing. */
  readonly unsafe?: string;
}

/**
 * Reads assigned queues with prefetch. One consumer at a time.
 */
export interface QueueReader {
  /** The next messages of any of the queues, in order per queue; empty when `waitMs` passed without any. Rejects with the signal's reason. */
  read(maxBytes: number, waitMs: number, signal: AbortSignal): Promise<readonly FetchedMessages[]>;
  /** Goes on from another position; prefetched messages of that queue are dropped. */
  seek(queue: QueueAddress, position: number): void;
  /** Per queue, messages that are stored but not yet returned by `read`. */
  lags(): readonly QueueLag[];
  close(): Promise<void>;
}

/**
 * Messages that the log holds for this member, and for nobody else, until it acknowledges them or is not heard of for a while: then they
 * come again, to any member. Renewed while held.
 */
export interface Subscription {
  /** As `QueueReader.read`. In order per queue, but for messages that come again. */
  read(maxBytes: number, waitMs: number, signal: AbortSignal): Promise<readonly FetchedMessages[]>;
  /**
   * The first `count` of the messages that were read and not acknowledged yet are done with. Repeated until the log knows; resolves with the
   * number of those that it could not be told of in time, which will come again.
   */
  acknowledge(count: number): Promise<number>;
  /** Gives back what is not acknowledged, so that it comes again at once. */
  close(): Promise<void>;
}

/** Consecutive messages of one queue, zero copy: decode with `decodeFetched`. */
export interface FetchedMessages {
  readonly queue: QueueAddress;
  /** Position of the first message. */
  readonly offset: number;
  readonly count: number;
  readonly bytes: Buffer;
  /** How `bytes` lie: as they were sent, or as a broker stores them (`stored-message.ts`). */
  readonly layout: 'batch' | 'stored';
  readonly storedAtMs: number;
}
