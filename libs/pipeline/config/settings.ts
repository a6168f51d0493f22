/** What the pipeline itself takes from a connector's configuration; the rest is the plugin's. */
export interface PipelineSettings {
  readonly maxTasks: number;
  readonly errors: {
    /** `none`: the task fails at the first bad record. */
    readonly tolerance: 'none' | 'all';
    /** How long an operation that failed with `RetriableError` is tried again; -1 for ever. */
    readonly retryTimeoutMs: number;
    readonly retryDelayMaxMs: number;
    readonly logEnable: boolean;
    readonly logIncludeMessages: boolean;
    /** '' for none. */
    readonly deadLetterTopic: string;
    readonly deadLetterHeaders: boolean;
  };
  readonly batch: { readonly maxBytes: number; readonly maxCount: number; readonly lingerMs: number };
  /** Polled but not acknowledged, or fetched but not put: back-pressure begins here. */
  readonly bytesInFlightMax: number;
  /** `partition`: keyless records of one source partition keep their order in one queue. `none`: they are spread. */
  readonly sendOrdering: 'partition' | 'none';
  readonly exactlyOnce: 'auto' | 'off';
  readonly topicCreation: { readonly enable: boolean; readonly queues: number };
  readonly autoOffsetReset: 'earliest' | 'latest';
  readonly positionOutOfRange: 'fail' | 'skip';
  readonly topics: readonly string[];
  readonly topicsRegex: string;
  readonly topicDiscoveryIntervalMs: number;
  readonly putMaxRecords: number;
}
