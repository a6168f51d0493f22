import { readFileSync } from 'node:fs';
import { resolveReferences } from '@rocketmq-connect/pipeline/config/references';

/** The value of a setting that is a reference. */
export function secretOf(setting: string, reference: string): string {
  const sources = { env: process.env, readFile: (path: string) => readFileSync(path, 'utf8').trimEnd() };
  return resolveReferences({ [setting]: reference }, sources)[setting] ?? '';
}
