import type { Schema } from './schema.ts';

export type JsonScalar = string | number | boolean | null;
export type JsonValue = JsonScalar | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/**
 * Names one independent stream of an outside system, e.g. `{filename: '/a.log'}`. Give the **same object** for all records of a
 * partition: the pipeline recognizes it by identity before it compares content.
 */
export type SourcePartition = Readonly<Record<string, JsonScalar>>;

/**
 * Where a task resumes **after** the record that carries it: the position of the next record. Plain JSON.
 * Several records may share one offset, in one poll: a commit covers it only when all of them are acknowledged, and knows of those that
 * were polled.
 */
export type SourceOffset = Readonly<Record<string, JsonValue>>;

/** One header; names may repeat. */
export interface Header {
  readonly name: string;
  readonly value: unknown;
  readonly schema?: Schema;
}

/** What transforms and converters see. Treat as immutable: copy to change. */
export interface ConnectRecord {
  readonly topic: string;
  readonly key?: unknown;
  readonly keySchema?: Schema;
  readonly value: unknown;
  readonly valueSchema?: Schema;
  readonly headers?: readonly Header[];
  /** Milliseconds since the epoch. */
  readonly timestamp?: number;
}

export interface SourceRecord extends ConnectRecord {
  readonly partition: SourcePartition;
  readonly offset: SourceOffset;
  /** Sends to this queue (modulo the topic's queues) instead of choosing by key or partition. */
  readonly queue?: number;
}

/** Where a sink record came from. Positions are exact up to 2^53. */
export interface LogPosition {
  readonly topic: string;
  readonly broker: string;
  readonly queue: number;
  readonly offset: number;
}

export interface SinkRecord extends ConnectRecord {
  readonly origin: LogPosition;
}
