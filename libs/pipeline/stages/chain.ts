import { isUtf8 } from 'node:buffer';
import { ConfigError, type ConnectRecord, type Predicate, type Schema, type Transform } from '@rocketmq-connect/sdk';
import { listOf } from '../config/values.ts';
import type { Catalogue } from '../plugins/catalogue.ts';
import { stageConfig } from './stage-config.ts';

export interface TransformChain {
  /** No transform is configured: records need not go through it. */
  readonly empty: boolean;
  /** The record after all transforms: changed, null when one dropped it, an array when one split it. A promise only if a transform gave one. */
  apply<R extends ConnectRecord>(record: R): R | null | readonly R[] | Promise<R | null | readonly R[]>;
  close(): void;
}

interface Step {
  readonly transform: Transform;
  /** Which records it is for. */
  readonly wants: ((record: ConnectRecord) => boolean) | undefined;
}

/**
 * The transforms of `transforms`, in order, each for the records that its predicate selects. `config` has its references resolved.
 * Throws `ConfigError`.
 */
export function createChain(config: Readonly<Record<string, string>>, catalogue: Catalogue): TransformChain {
  const predicates = new Map(
    listOf(config['predicates']).map((alias) => [alias, create('predicate', `predicates.${alias}.`, config, catalogue)] as const),
  );
  const steps = listOf(config['transforms']).map((alias): Step => {
    const prefix = `transforms.${alias}.`;
    return { transform: create('transform', prefix, config, catalogue), wants: condition(prefix, config, predicates) };
  });
  return {
    empty: steps.length === 0,
    apply: (record) => (steps.length === 0 ? record : run(steps, 0, decodeText(record))),
    close: () => {
      for (const { transform } of steps) transform.close?.();
    },
  };
}

function create(kind: 'predicate', prefix: string, config: Readonly<Record<string, string>>, catalogue: Catalogue): Predicate;
function create(kind: 'transform', prefix: string, config: Readonly<Record<string, string>>, catalogue: Catalogue): Transform;
function create(
  kind: 'predicate' | 'transform',
  prefix: string,
  config: Readonly<Record<string, string>>,
  catalogue: Catalogue,
): Predicate | Transform {
  const field = `${prefix}type`;
  const type = config[field];
  if (type === undefined || type.trim() === '') {
    throw new ConfigError(`Missing required configuration "${field}" which has no default value.`, { field });
  }
  const definition = catalogue.stage(kind, type.trim(), config[`${prefix}plugin.version`]?.trim());
  return definition.create(stageConfig(definition, prefix, config));
}

function condition(prefix: string, config: Readonly<Record<string, string>>, predicates: ReadonlyMap<string, Predicate>): Step['wants'] {
  const alias = config[`${prefix}predicate`]?.trim();
  const negate = config[`${prefix}negate`]?.trim().toLowerCase() === 'true';
  if (alias === undefined || alias === '') return undefined;
  const predicate = predicates.get(alias);
  if (predicate === undefined) {
    throw new ConfigError(`Invalid value ${alias} for configuration ${prefix}predicate: it is not one of predicates`, {
      field: `${prefix}predicate`,
      remedy: 'Add it to `predicates`.',
    });
  }
  return (record) => predicate.test(record) !== negate;
}

type Outcome<R> = R | null | readonly R[];

// Synchronous as long as the transforms are: a promise per record would cost more than most transforms.
function run<R extends ConnectRecord>(steps: readonly Step[], from: number, first: R): Outcome<R> | Promise<Outcome<R>> {
  let record = first;
  for (let at = from; at < steps.length; at++) {
    const step = steps[at];
    if (step === undefined || (step.wants !== undefined && !step.wants(record))) continue;
    const outcome = step.transform.apply(record);
    if (outcome === null) return null;
    if (outcome instanceof Promise) return outcome.then((later) => goOn(steps, at + 1, later));
    if (isList(outcome)) return goOn(steps, at + 1, outcome);
    record = outcome;
  }
  return record;
}

function goOn<R extends ConnectRecord>(steps: readonly Step[], from: number, outcome: Outcome<R>): Outcome<R> | Promise<Outcome<R>> {
  if (outcome === null) return null;
  if (!isList(outcome)) return run(steps, from, outcome);
  const outcomes = outcome.map((record) => run(steps, from, record));
  return outcomes.some((later) => later instanceof Promise) ? Promise.all(outcomes).then(flatten) : flatten(outcomes as Outcome<R>[]);
}

function flatten<R>(outcomes: readonly Outcome<R>[]): readonly R[] {
  return outcomes.flatMap((outcome) => (outcome === null ? [] : isList(outcome) ? outcome : [outcome]));
}

function isList<R>(outcome: R | readonly R[]): outcome is readonly R[] {
  return Array.isArray(outcome);
}

/** Transforms see text as strings; text that is not valid UTF-8 stays a Buffer, so that it can pass unchanged. */
function decodeText<R extends ConnectRecord>(record: R): R {
  const key = decoded(record.key, record.keySchema);
  const value = decoded(record.value, record.valueSchema);
  return key === record.key && value === record.value ? record : { ...record, key, value };
}

function decoded(value: unknown, schema: Schema | undefined): unknown {
  return schema?.type === 'string' && Buffer.isBuffer(value) && isUtf8(value) ? value.toString('utf8') : value;
}
