import { ConfigError } from '@rocketmq-connect/sdk';
import { holderOf, isLoud, type LevelTable, LOG_LEVELS, type LogLevel, levelOf, ROOT } from './log-levels.ts';

export interface LoggerInfo {
  readonly name: string;
  readonly level: LogLevel;
  /** Since the epoch; null: it was given none itself. */
  readonly modifiedMs: number | null;
  /** Who gave the level that holds: it was given to this process, or to the whole cluster; null: as the process was started. */
  readonly scope: LevelScope | null;
}

export type LevelScope = 'worker' | 'cluster';

/** Names that lines came from, so many at most: connectors come and go. */
const KNOWN_MAX = 2_000;

/** The loggers of a process and their levels, which can be changed at any time and hold at once. */
export class Loggers {
  #table: LevelTable;
  readonly #initial: LogLevel;
  readonly #given = new Map<string, Given>();
  readonly #known = new Set<string>();
  readonly #effective = new Map<string, LogLevel>();
  readonly #listeners = new Set<() => void>();
  readonly #now: () => number;

  constructor(level: LogLevel, now: () => number) {
    this.#table = { root: level };
    this.#initial = level;
    this.#now = now;
  }

  get table(): LevelTable {
    return this.#table;
  }

  /** Whether a line of this logger is to be written. */
  lets(name: string, level: LogLevel): boolean {
    let least = this.#effective.get(name);
    if (least === undefined) {
      this.know(name);
      least = levelOf(this.#table, name);
      if (this.#known.has(name)) this.#effective.set(name, least);
    }
    return isLoud(level, least);
  }

  /** There is such a logger. */
  know(name: string): void {
    if (this.#known.size < KNOWN_MAX) this.#known.add(name);
  }

  /** Sets the level of a logger and of all below it; their names. The level of `root` holds where no other is set. */
  set(name: string, level: LogLevel, given: Given = { modifiedMs: this.#now(), scope: 'worker' }): readonly string[] {
    const isBelow = (other: string): boolean => other.startsWith(`${name}.`);
    const others = Object.entries(this.#table).filter(([other]) => other !== name && !isBelow(other));
    this.#table = { ...(Object.fromEntries(others) as LevelTable), [name]: level };
    for (const other of this.#given.keys()) if (isBelow(other)) this.#given.delete(other);
    this.#given.set(name, given);
    this.#changed();
    return name === ROOT ? [ROOT] : [name, ...[...this.#known].filter(isBelow).sort()];
  }

  /** Takes back the level that the cluster gave a logger; one that was given to this process since stays. */
  takeBack(name: string): void {
    if (this.#given.get(name)?.scope !== 'cluster') return;
    this.#given.delete(name);
    const others = Object.entries(this.#table).filter(([other]) => other !== name);
    this.#table = { root: this.#initial, ...Object.fromEntries(others) };
    this.#changed();
  }

  /** Undefined for a logger that has written nothing and was given no level. */
  get(name: string): LoggerInfo | undefined {
    if (this.#table[name] === undefined && !this.#known.has(name)) return undefined;
    const scope = this.#given.get(holderOf(this.#table, name))?.scope ?? null;
    return { name, level: levelOf(this.#table, name), modifiedMs: this.#given.get(name)?.modifiedMs ?? null, scope };
  }

  /** Those that were given a level, `root` first. */
  list(): readonly LoggerInfo[] {
    const named = Object.keys(this.#table).filter((name) => name !== ROOT);
    return [ROOT, ...named.sort()].flatMap((name) => this.get(name) ?? []);
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  #changed(): void {
    this.#effective.clear();
    for (const listener of this.#listeners) listener();
  }
}

interface Given {
  readonly modifiedMs: number;
  readonly scope: LevelScope;
}

/** Loggers that were given a level, so many at most. */
export const NAMED_MAX = 1_000;
const NAME_MAX = 300;

/** As somebody asked for it. Throws `ConfigError`, field `level` or `logger`. */
export function setLevel(loggers: Loggers, name: string, level: string): readonly string[] {
  const known = checkedLevel(name, level);
  if (loggers.list().length >= NAMED_MAX && loggers.get(name) === undefined) throw tooMany();
  return loggers.set(name, known);
}

/** The level of a logger as somebody asked for it. Throws `ConfigError`, field `level` or `logger`. */
export function checkedLevel(name: string, level: string): LogLevel {
  const known = LOG_LEVELS.find((each) => each === level);
  if (known === undefined)
    throw new ConfigError(`there is no log level '${level}'`, { field: 'level', remedy: `one of ${LOG_LEVELS.join(', ')}` });
  if (name === '' || name.length > NAME_MAX)
    throw new ConfigError('a logger has a name of 1 to 300 characters', {
      field: 'logger',
      remedy: 'for example root, task-runner, connectors.NAME',
    });
  return known;
}

export function tooMany(): ConfigError {
  return new ConfigError(`${NAMED_MAX} loggers have a level already`, {
    field: 'logger',
    remedy: 'set the level of one above them, such as connectors',
  });
}
