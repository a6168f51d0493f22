import { ConfigError, type Converter, type ConverterDefinition } from '@rocketmq-connect/sdk';
import type { Catalogue } from '../plugins/catalogue.ts';
import { stageConfig } from './stage-config.ts';

export interface Converters {
  readonly key: Converter;
  readonly value: Converter;
  /** Of one header; its name stands in for the topic. */
  readonly header: Converter;
}

/** StringConverter for keys and values: what most RocketMQ topics hold, and readable by every consumer. */
export const DEFAULT_CONVERTERS = { key: 'StringConverter', value: 'StringConverter', header: 'SimpleHeaderConverter' } as const;

/**
 * The converters of `key.converter`, `value.converter` and `header.converter`, each with the keys below its own. `config` has its
 * references resolved. With `textAsBuffer`, text values are read as Buffers where the converter can (see `SinkDefinition`).
 * Throws `ConfigError`.
 */
export function createConverters(
  config: Readonly<Record<string, string>>,
  catalogue: Catalogue,
  options: { readonly textAsBuffer?: boolean } = {},
): Converters {
  const create = (use: keyof Converters, textAsBuffer: boolean): Converter => {
    const field = `${use}.converter`;
    const name = config[field]?.trim() ?? DEFAULT_CONVERTERS[use];
    const definition = converterDefinition(catalogue, field, name, config[`${field}.plugin.version`]?.trim());
    return definition.create(stageConfig(definition, `${field}.`, config))(use === 'key', textAsBuffer);
  };
  return { key: create('key', false), value: create('value', options.textAsBuffer === true), header: create('header', false) };
}

function converterDefinition(catalogue: Catalogue, field: string, name: string, version: string | undefined): ConverterDefinition {
  try {
    return catalogue.stage('converter', name, version);
  } catch (error) {
    throw new ConfigError(`Invalid value ${name} for configuration ${field}: ${(error as Error).message}`, { field, cause: error });
  }
}
