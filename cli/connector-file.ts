import { readFileSync } from 'node:fs';
import { ConfigError } from '@rocketmq-connect/sdk';
import { parseAllDocuments } from 'yaml';
import { parseProperties } from './properties-file.ts';

export interface ConnectorFileEntry {
  readonly name: string;
  readonly config: Readonly<Record<string, string>>;
  readonly initial_state?: string;
}

/**
 * Connectors of a file (`-`: standard input). JSON or YAML: one, a list, or several documents; each `{name, config}` as Kafka Connect's
 * REST takes it, or a flat configuration that holds its `name`. A `.properties` file is one flat configuration.
 */
export function readConnectorFile(file: string): readonly ConnectorFileEntry[] {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new ConfigError(`cannot read ${file}: ${(error as NodeJS.ErrnoException).code}`, {
      field: '--file',
      remedy: 'name a readable file, or - for standard input',
    });
  }
  if (file.endsWith('.properties')) return [entryOf(parseProperties(text), file, 0)];
  const entries: ConnectorFileEntry[] = [];
  for (const document of parseAllDocuments(text)) {
    if ('errors' in document && document.errors[0] !== undefined) {
      throw new ConfigError(`${file}: ${document.errors[0].message.split('\n')[0]}`, {
        field: '--file',
        remedy: 'correct the JSON or YAML',
      });
    }
    const value: unknown = document.toJSON();
    for (const item of Array.isArray(value) ? value : [value]) entries.push(entryOf(item, file, entries.length));
  }
  if (entries.length === 0)
    throw new ConfigError(`${file} holds no connector`, { field: '--file', remedy: 'give {"name": …, "config": {…}}' });
  return entries;
}

function entryOf(item: unknown, file: string, index: number): ConnectorFileEntry {
  const wrong = (what: string): ConfigError =>
    new ConfigError(`${file}: connector ${index + 1}: ${what}`, {
      field: '--file',
      remedy:
        'give {"name": …, "config": {…}} or a flat configuration with its name, with scalar values; Java properties end in .properties',
    });
  if (typeof item !== 'object' || item === null) throw wrong('is not a map');
  const { name, config, initial_state: initialState } = item as Record<string, unknown>;
  if (typeof name !== 'string' || name === '') throw wrong('has no name');
  const raw = config === undefined ? item : config;
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw wrong('config is not a map');
  const texts: Record<string, string> = {};
  for (const [key, value] of Object.entries(raw)) {
    if (value === null || typeof value === 'object') throw wrong(`config.${key} must be a text, number or boolean`);
    texts[key] = String(value);
  }
  return { name, config: texts, ...(typeof initialState === 'string' ? { initial_state: initialState } : {}) };
}
