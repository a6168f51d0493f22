import { readFileSync } from 'node:fs';
import { referencesIn, resolveReferences } from '@rocketmq-connect/pipeline/config/references';
import { ConfigError } from '@rocketmq-connect/sdk';

/** The value of a setting that must be a reference: a secret in clear would be shown wherever settings are. */
export function secretOf(setting: string, reference: string): string {
  if (reference !== '' && referencesIn(reference).length === 0) {
    throw new ConfigError(`${setting} is given in clear`, {
      field: setting,
      remedy: 'Refer to it: ${env:NAME} or ${file:/path}.',
    });
  }
  const sources = { env: process.env, readFile: (path: string) => readFileSync(path, 'utf8').trimEnd() };
  return resolveReferences({ [setting]: reference }, sources)[setting] ?? '';
}
