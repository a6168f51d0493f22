import type { TSchemaOptions, TString } from 'typebox';
import { Type } from './type.ts';

/**
 * What a field of a configuration schema may say about itself, as ordinary JSON Schema annotations:
 * `Type.Integer({ default: 5432, minimum: 1, title: 'Port', description: 'Port of the server', group: 'Connection' })`.
 */
export interface ConfigMetadata {
  /** Name in forms; default: the key. */
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  /** Default: `high` where the key is required, else `medium`. */
  readonly importance?: 'high' | 'medium' | 'low';
  /** Fields of one group stand together in forms, in the order of the schema. */
  readonly group?: string;
  readonly width?: 'short' | 'medium' | 'long';
  /** Never shown: masked in every output, refused as a literal on a cluster unless allowed. */
  readonly secret?: boolean;
  /** Of a source: it sends to the topic of this name, unless a transform renames it; a name that no topic can have is refused. */
  readonly topic?: boolean;
}

/** A text that is never shown, e.g. a password. Users write a reference such as `${env:DB_PASSWORD}` there. */
export function Secret(options: ConfigMetadata & TSchemaOptions = {}): TString {
  return Type.String({ ...options, secret: true });
}

/** What stands where a secret is, in every output; Kafka Connect's text. */
export const HIDDEN = '[hidden]';

const SECRET_NAME =
  /(^|[._-])(pass(word|phrase|wd)?|secret([._-]?key)?|token|credentials?|(access|api|private)[._-]?key|jaas[._-]config)$/i;

/** Whether a key without a schema must be a secret by its name, e.g. `producer.override.ssl.keystore.password`. */
export function isSecretName(key: string): boolean {
  return SECRET_NAME.test(key);
}
