/** From the least severe on; `silent` lets nothing through. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** Levels by the name of their logger; `root` is always there. Plain data, for task hosts. */
export type LevelTable = { readonly root: LogLevel } & Readonly<Record<string, LogLevel>>;

export const ROOT = 'root';

/** The logger that a line with these fields belongs to: `connectors.NAME.TASK`, the name of a service, or that of the logger above. */
export function loggerName(fields: Readonly<Record<string, unknown>>, above: string): string {
  const { connector, task, service } = fields;
  if (typeof connector === 'string') return typeof task === 'number' ? `connectors.${connector}.${task}` : `connectors.${connector}`;
  if (typeof task === 'number' && above.startsWith('connectors.')) return `${above}.${task}`;
  return typeof service === 'string' && above === ROOT ? service : above;
}

/** The level that holds for a logger: its own, or that of the nearest one above it. */
export function levelOf(table: LevelTable, name: string): LogLevel {
  return table[holderOf(table, name)] ?? table.root;
}

/** The logger whose level holds for another. */
export function holderOf(table: LevelTable, name: string): string {
  for (let at = name; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('.')))) if (table[at] !== undefined) return at;
  return ROOT;
}

/** The level that lets most through, of all in the table. */
export function loosestOf(table: LevelTable): LogLevel {
  return Object.values(table).reduce((loosest, level) => (isLoud(level, loosest) ? loosest : level));
}

export function isLoud(level: LogLevel, least: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(least);
}
