/** One JSON log line as a line for people: `12:00:01.250 INFO  started connector=orders task=0`. */
export function prettyLine(line: string, color: boolean): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as { level: string; time: string; msg?: string } & Record<string, unknown>;
  const paint = (code: number, text: string): string => (color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const shown = Object.entries(fields).map(([key, value]) => `${paint(36, key)}=${word(value)}`);
  const at = paint(90, time.slice(11, 23));
  return `${[at, paint(colors[level] ?? 0, level.toUpperCase().padEnd(5)), oneLine(msg ?? ''), ...shown].join(' ')}\n`;
}

const colors: Readonly<Record<string, number>> = { trace: 90, debug: 90, info: 32, warn: 33, error: 31 };

function word(value: unknown): string {
  if (typeof value === 'string') return /^[\w./:@%+,-]+$/.test(value) ? value : JSON.stringify(value);
  if (isError(value)) return JSON.stringify(value.stack ?? `${value.message}${value.remedy === undefined ? '' : ` (${value.remedy})`}`);
  return JSON.stringify(value);
}

function isError(value: unknown): value is { name: string; message: string; stack?: string; remedy?: string } {
  return typeof value === 'object' && value !== null && 'name' in value && 'message' in value;
}

/** A message must not move the cursor or forge a second line. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, (c) => JSON.stringify(c).slice(1, -1).replace('\u007f', '\\u007f'));
}
