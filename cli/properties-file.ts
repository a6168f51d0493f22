/**
 * The keys and values of a Java properties file, as Kafka Connect's standalone mode takes connectors: comments (`#`, `!`), keys ended by
 * `=`, `:` or blanks, lines continued by a last backslash, escapes such as `\t` and `\u00e9`.
 */
export function parseProperties(text: string): Record<string, string> {
  const properties: Record<string, string> = {};
  for (const line of logicalLines(text)) {
    const [, key = '', value = ''] = KEY_AND_VALUE.exec(line) ?? [];
    properties[unescaped(key)] = unescaped(value);
  }
  return properties;
}

const KEY_AND_VALUE = /^((?:\\.|[^\\=:\s])*)\s*[=:]?\s*(.*)$/su;

/** Without comments and blank lines; continued lines joined, without the blanks that the next one begins with. */
function logicalLines(text: string): readonly string[] {
  const lines: string[] = [];
  let begun: string | undefined;
  for (const raw of text.split(/\r\n|\r|\n/)) {
    const line = raw.trimStart();
    if (begun === undefined && (line === '' || line.startsWith('#') || line.startsWith('!'))) continue;
    const joined = (begun ?? '') + line;
    const continues = (/\\*$/.exec(line)?.[0].length ?? 0) % 2 === 1;
    begun = continues ? joined.slice(0, -1) : undefined;
    if (!continues) lines.push(joined);
  }
  if (begun !== undefined) lines.push(begun);
  return lines;
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' };

function unescaped(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gsu, (_, code: string | undefined, char: string) =>
    code === undefined ? (ESCAPES[char] ?? char) : String.fromCharCode(Number.parseInt(code, 16)),
  );
}
