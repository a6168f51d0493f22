/** A JSON number whose text says more than a double holds, e.g. `1.10` or 20 digits after the point. */
export class ExactNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

// 16 digits may be beyond 2^53; a decimal's digits count as they are written.
const NEEDS_EXACTNESS = /\d{16}|\d\.\d|\d[eE]/;

/** `JSON.parse` in which integers beyond 2^53 are bigints, and other numbers that a double would change are `ExactNumber`s. */
export function parseExact(text: string): unknown {
  if (!NEEDS_EXACTNESS.test(text)) return JSON.parse(text);
  return (JSON.parse as ParseWithSource)(text, (_key, value, context) => {
    if (typeof value !== 'number' || context.source === undefined) return value;
    if (String(value) === context.source) return value;
    if (!/^-?\d+$/.test(context.source)) return new ExactNumber(context.source);
    return Number.isSafeInteger(value) ? value : BigInt(context.source);
  });
}

// The third argument is in the language (JSON.parse source text access), and not yet in TypeScript's library.
type ParseWithSource = (text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown) => unknown;
