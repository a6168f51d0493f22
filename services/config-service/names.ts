import { invalidConfig } from './invalid-config.ts';

const nameBytesMax = 200;

/** The name of a new connector as it is stored: trimmed as Kafka Connect does. Throws `ConfigError`. */
export function newConnectorName(given: string): string {
  const name = given.trim();
  const problem = problemOf(name);
  if (problem === undefined) return name;
  throw invalidConfig([{ field: 'name', message: `Invalid value ${printable(name)} for configuration name: ${problem}` }]);
}

function problemOf(name: string): string | undefined {
  if (name === '') return 'String may not be empty';
  if (name === '.' || name === '..') return 'String may not be . or .., which no URL can end with';
  const controls = [...name].filter((c) => /\p{Cc}/u.test(c)).map((c) => c.codePointAt(0));
  if (controls.length > 0) return `String may not contain control sequences but had the following ASCII chars: ${controls.join(', ')}`;
  if (!name.isWellFormed()) return 'String must be valid Unicode';
  if (Buffer.byteLength(name) > nameBytesMax) return `String must not be longer than ${nameBytesMax} bytes`;
  return undefined;
}

function printable(name: string): string {
  return name.slice(0, nameBytesMax).replace(/\p{Cc}/gu, '?');
}
