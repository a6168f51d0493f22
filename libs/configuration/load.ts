import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError } from '@rocketmq-connect/sdk';
import { isMap, isScalar, isSeq, LineCounter, parseDocument, type YAMLMap } from 'yaml';
import { type SettingInfo, type SettingType, settingInfos } from './describe.ts';
import type { Settings } from './settings.ts';

export interface SettingSources {
  /** Flag name without dashes (`rest-port`) → text. */
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `--config`; otherwise `rocketmq-connect.yaml` in `cwd`, where there is one. */
  readonly file?: string;
  readonly cwd: string;
}

export interface LoadedSettings {
  readonly settings: Settings;
  /** Path → where its value came from: `default`, `flag --rest-port`, `variable RMQC_…`, `file:line`. */
  readonly origins: Readonly<Record<string, string>>;
  /** The YAML file that was read, '' for none: plugins named in it are relative to its folder. */
  readonly file: string;
}

interface Given {
  readonly value: unknown;
  readonly origin: string;
}

const DEFAULT_FILE = 'rocketmq-connect.yaml';

/** Merges defaults, file, environment and flags. Throws one `ConfigError` that lists every problem with its source. */
export function loadSettings(sources: SettingSources): LoadedSettings {
  const problems: { field: string; message: string }[] = [];
  const { given: fromFile, file } = readFile(sources, problems);
  const tree: Record<string, unknown> = {};
  const origins: Record<string, string> = {};
  for (const info of settingInfos) {
    const given = fromFlag(sources, info) ?? fromVariable(sources, info) ?? fromFile.get(info.path);
    origins[info.path] = given?.origin ?? 'default';
    put(tree, info.path, given === undefined ? info.default : convert(info, given, problems));
  }
  rejectUnknownVariables(sources, problems);
  if (problems.length > 0) {
    throw new ConfigError(`the configuration has ${problems.length} problem(s):\n${problems.map((p) => `  ${p.message}`).join('\n')}`, {
      fields: problems,
      ...(problems[0] === undefined ? {} : { field: problems[0].field }),
      remedy: 'correct them; docs/configuration.md lists every setting',
    });
  }
  return { settings: tree as Settings, origins, file };
}

function fromFlag(sources: SettingSources, info: SettingInfo): Given | undefined {
  const value = sources.flags[info.flag.slice(2)];
  return value === undefined ? undefined : { value, origin: `flag ${info.flag}` };
}

function fromVariable(sources: SettingSources, info: SettingInfo): Given | undefined {
  const value = sources.env[info.variable];
  return value === undefined ? undefined : { value, origin: `variable ${info.variable}` };
}

/** Variables of the command line itself, not settings. */
const OTHER_VARIABLES = new Set(['RMQC_URL', 'RMQC_CONFIG']);

function rejectUnknownVariables(sources: SettingSources, problems: { field: string; message: string }[]): void {
  const known = new Set(settingInfos.map((info) => info.variable));
  for (const name of Object.keys(sources.env)) {
    if (!name.startsWith('RMQC_') || known.has(name) || OTHER_VARIABLES.has(name)) continue;
    problems.push({ field: name, message: `variable ${name}: no such setting${suggest(name, [...known])}` });
  }
}

function readFile(sources: SettingSources, problems: { field: string; message: string }[]): { given: Map<string, Given>; file: string } {
  const given = new Map<string, Given>();
  const wanted = sources.file ?? sources.env['RMQC_CONFIG'];
  const file = resolve(sources.cwd, wanted ?? DEFAULT_FILE);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (wanted === undefined && code === 'ENOENT') return { given, file: '' };
    problems.push({ field: 'config', message: `--config: cannot read ${file} (${code}): give a readable YAML file` });
    return { given, file };
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const at = (offset: number | undefined): string => `${file}:${offset === undefined ? 1 : lines.linePos(offset).line}`;
  for (const error of document.errors) {
    problems.push({
      field: 'config',
      message: `${at(error.pos[0])}: correct the YAML: ${error.message.split('\n')[0]?.replace(/:$/, '')}`,
    });
  }
  if (document.errors.length > 0 || document.contents === null) return { given, file };
  if (!isMap(document.contents)) {
    problems.push({ field: 'config', message: `${file}:1: the file must hold a map of settings` });
    return { given, file };
  }
  collect(document.contents, [], given, problems, at);
  return { given, file };
}

function collect(
  map: YAMLMap,
  path: readonly string[],
  given: Map<string, Given>,
  problems: { field: string; message: string }[],
  at: (offset: number | undefined) => string,
): void {
  for (const item of map.items) {
    const key = isScalar(item.key) ? String(item.key.value) : String(item.key);
    const origin = at(isScalar(item.key) ? item.key.range?.[0] : undefined);
    const full = [...path, key].join('.');
    if (settingInfos.some((info) => info.path === full)) {
      const value = isScalar(item.value) ? item.value.value : isSeq(item.value) ? item.value.toJSON() : item.value;
      given.set(full, { value, origin });
    } else if (isMap(item.value) && settingInfos.some((info) => info.path.startsWith(`${full}.`))) {
      collect(item.value, [...path, key], given, problems, at);
    } else {
      const known = settingInfos.map((info) => info.path);
      const isSection = known.some((name) => name.startsWith(`${full}.`));
      problems.push({
        field: full,
        message: isSection
          ? `${origin}: ${full} is a section: write its settings below it`
          : `${origin}: no such setting: ${full}${suggest(full, known)}`,
      });
    }
  }
}

function convert(info: SettingInfo, given: Given, problems: { field: string; message: string }[]): unknown {
  const problem = (expected: string): unknown => {
    problems.push({ field: info.path, message: `${given.origin}: ${info.path} must be ${expected}, not ${show(given.value)}` });
    return info.default;
  };
  const { value } = given;
  const type: SettingType = info.type;
  switch (type.kind) {
    case 'boolean':
      if (typeof value === 'boolean') return value;
      if (value === 'true' || value === 'false') return value === 'true';
      return problem('true or false');
    case 'integer': {
      const number = typeof value === 'string' && /^-?\d+$/.test(value.trim()) ? Number(value) : value;
      if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < type.minimum || number > type.maximum) {
        return problem(`a whole number from ${type.minimum} to ${type.maximum}`);
      }
      return number;
    }
    case 'choice':
      return type.choices.includes(String(value)) ? value : problem(`one of ${type.choices.join(', ')}`);
    case 'list': {
      if (typeof value === 'string')
        return value
          .split(',')
          .map((part) => part.trim())
          .filter((part) => part !== '');
      if (Array.isArray(value) && value.every((part) => typeof part === 'string')) return value;
      return problem('a list of texts');
    }
    case 'string': {
      const text = typeof value === 'number' ? String(value) : value;
      if (typeof text !== 'string' || text.length < type.minLength || text.length > type.maxLength) {
        return problem(type.minLength > 0 ? `a text of ${type.minLength} to ${type.maxLength} characters` : 'a text');
      }
      if (type.secret && !ONLY_REFERENCES.test(text)) {
        // Not with `problem`, which shows the value.
        const message = `${given.origin}: ${info.path} must refer to the secret (\${env:NAME} or \${file:/path}), not be it`;
        problems.push({ field: info.path, message });
        return info.default;
      }
      return text;
    }
  }
}

/** Whatever else stands there would be shown wherever settings are. */
const ONLY_REFERENCES = /^(\$\{(env|file):[^}]*\})*$/;

function put(tree: Record<string, unknown>, path: string, value: unknown): void {
  const parts = path.split('.');
  const last = parts.pop() ?? path;
  let node = tree;
  for (const part of parts) {
    node[part] ??= {};
    node = node[part] as Record<string, unknown>;
  }
  node[last] = value;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function suggest(name: string, known: readonly string[]): string {
  let best = { candidate: '', edits: 4 };
  for (const candidate of known) {
    const edits = distance(candidate.toLowerCase(), name.toLowerCase());
    if (edits < best.edits) best = { candidate, edits };
  }
  return best.candidate === '' ? '' : ` (did you mean ${best.candidate}?)`;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
