/**
 * The Connect schema model (Kafka Connect's `org.apache.kafka.connect.data`): a record's key and value may carry a schema; without
 * one they are plain JSON-like values.
 */
export type SchemaType =
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'float32'
  | 'float64'
  | 'boolean'
  | 'string'
  | 'bytes'
  | 'array'
  | 'map'
  | 'struct';

export interface Schema {
  readonly type: SchemaType;
  readonly optional?: boolean;
  /** Name of a struct, or of a logical type (see `LogicalName`). */
  readonly name?: string;
  readonly version?: number;
  readonly doc?: string;
  readonly default?: unknown;
  /** E.g. `{scale: '2'}` of a decimal. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Of a struct, in order. */
  readonly fields?: readonly Field[];
  /** Of a map. */
  readonly keys?: Schema;
  /** Of an array or a map. */
  readonly values?: Schema;
}

export interface Field {
  readonly name: string;
  readonly schema: Schema;
}

/** Logical types, by the names that Kafka Connect's JSON schemas carry, so that converted records interoperate. */
export const LogicalName = {
  decimal: 'org.apache.kafka.connect.data.Decimal',
  date: 'org.apache.kafka.connect.data.Date',
  time: 'org.apache.kafka.connect.data.Time',
  timestamp: 'org.apache.kafka.connect.data.Timestamp',
} as const;

/**
 * Runtime values by type: int8..int32, float32, float64: `number`; int64: `bigint` (a `number` is accepted where it is a safe
 * integer); string: `string`, or a `Buffer` of UTF-8 text that nobody had to decode yet (see `SinkDefinition.textAsBuffer`);
 * bytes: `Buffer`; array: array; map: `Map` or plain object; struct: plain object. Decimal: `string` of digits; Date, Time,
 * Timestamp: `Date`.
 */
export const Schemas = {
  string: { type: 'string' },
  optionalString: { type: 'string', optional: true },
  bytes: { type: 'bytes' },
  optionalBytes: { type: 'bytes', optional: true },
  boolean: { type: 'boolean' },
  int32: { type: 'int32' },
  int64: { type: 'int64' },
  float64: { type: 'float64' },
} as const satisfies Record<string, Schema>;
