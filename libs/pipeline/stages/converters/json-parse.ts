/** A JSON number whose text says more than a double holds, e.g. `1.10` or 20 digits after the point. */
export class ExactNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const LONG_INTEGER = /(?<![\d.])\d{16}/;

/**
 * `JSON.parse` in which integers beyond 2^53 are bigints. With `decimals`, other numbers that a double would change are
 * `ExactNumber`s. Both cost several times a plain parse, so a text that needs neither gets that.
 */
export function parseExact(text: string, decimals: boolean): unknown {
  if (!decimals && !LONG_INTEGER.test(text)) return JSON.parse(text);
  return (JSON.parse as ParseWithSource)(text, (_key, value, context) => {
    if (typeof value !== 'number' || context.source === undefined || String(value) === context.source) return value;
    if (/^-?\d+$/.test(context.source)) return Number.isSafeInteger(value) ? value : BigInt(context.source);
    return decimals ? new ExactNumber(context.source) : value;
  });
}

// The third argument is in the language (JSON.parse source text access), and not yet in TypeScript's library.
type ParseWithSource = (text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown) => unknown;
