import type { Static, TObject } from 'typebox';
import type { ConnectRecord, Header } from './record.ts';
import type { Schema } from './schema.ts';

export interface SchemaAndValue {
  readonly schema?: Schema;
  readonly value: unknown;
}

/** Values to bytes and back. Must be synchronous: it runs per record on the hot path. Throws `DataError`. */
export interface Converter {
  /** null is a tombstone. */
  fromConnect(topic: string, schema: Schema | undefined, value: unknown, headers?: readonly Header[]): Buffer | null;
  toConnect(topic: string, bytes: Buffer | null, headers?: readonly Header[]): SchemaAndValue;
}

/** Changes, drops (null) or splits (array) a record. Synchronous ones take a synchronous path. */
export interface Transform {
  apply<R extends ConnectRecord>(record: R): R | null | readonly R[] | Promise<R | null | readonly R[]>;
  close?(): void;
}

export interface Predicate {
  test(record: ConnectRecord): boolean;
}

interface StageDefinition<K extends string, C extends TObject, T> {
  readonly kind: K;
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly aliases?: readonly string[];
  readonly config: C;
  readonly create: (config: Static<C>) => T;
}

/** `textAsBuffer`: `toConnect` may give text as a Buffer of UTF-8 (see `SinkDefinition.textAsBuffer`). */
export type ConverterDefinition<C extends TObject = TObject> = StageDefinition<
  'converter',
  C,
  (isKey: boolean, textAsBuffer?: boolean) => Converter
>;
export type TransformDefinition<C extends TObject = TObject> = StageDefinition<'transform', C, Transform>;
export type PredicateDefinition<C extends TObject = TObject> = StageDefinition<'predicate', C, Predicate>;

// biome-ignore lint/suspicious/noExplicitAny: a catalogue holds definitions of every configuration type.
export type AnyStage = ConverterDefinition<any> | TransformDefinition<any> | PredicateDefinition<any>;

export function defineConverter<C extends TObject>(definition: Omit<ConverterDefinition<C>, 'kind'>): ConverterDefinition<C> {
  return { kind: 'converter', ...definition };
}

export function defineTransform<C extends TObject>(definition: Omit<TransformDefinition<C>, 'kind'>): TransformDefinition<C> {
  return { kind: 'transform', ...definition };
}

export function definePredicate<C extends TObject>(definition: Omit<PredicateDefinition<C>, 'kind'>): PredicateDefinition<C> {
  return { kind: 'predicate', ...definition };
}
