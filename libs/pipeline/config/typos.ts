/** Warnings for unknown keys that look like a known one. Unknown keys are allowed: plugins pass some on to their clients. */
export function typoWarnings(config: Readonly<Record<string, string>>, known: Iterable<string>): readonly string[] {
  const names = new Set(known);
  return Object.keys(config).flatMap((key) => {
    if (names.has(key)) return [];
    const close = closest(key, names);
    if (close === undefined) return [];
    // The one that was meant is not there: with both, the other has a purpose of its own.
    return Object.hasOwn(config, close) ? [] : [`${key} is not a known configuration; did you mean ${close}?`];
  });
}

const LONGEST_COMPARED = 200;

function closest(key: string, names: ReadonlySet<string>): string | undefined {
  if (key.length > LONGEST_COMPARED) return undefined;
  // Two changes make another word of a short name.
  const limit = key.length < 6 ? 1 : 2;
  let best: string | undefined;
  let least = limit + 1;
  for (const name of names) {
    if (Math.abs(name.length - key.length) >= least) continue;
    const distance = key.toLowerCase() === name.toLowerCase() ? 1 : editDistance(key, name);
    if (distance < least) [best, least] = [name, distance];
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours that make `b` of `a`. */
export function editDistance(a: string, b: string): number {
  let twoBefore: number[] = [];
  let before = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min((before[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (before[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, (twoBefore[j - 2] ?? 0) + 1);
      row.push(least);
    }
    [twoBefore, before] = [before, row];
  }
  return before[b.length] ?? 0;
}
