/** Orders semantic versions: numbers by value, a pre-release before its release. Texts that are none are ordered as text. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [split(a), split(b)];
  return compareParts(left.numbers, right.numbers) || comparePreReleases(left.preRelease, right.preRelease);
}

function split(version: string): { numbers: readonly string[]; preRelease: readonly string[] } {
  const [, numbers = '', preRelease = ''] = /^v?([^-+]*)(?:-([^+]*))?/.exec(version) ?? [];
  return { numbers: numbers.split('.'), preRelease: preRelease === '' ? [] : preRelease.split('.') };
}

function comparePreReleases(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return b.length - a.length;
  return compareParts(a, b);
}

function compareParts(a: readonly string[], b: readonly string[]): number {
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const [left, right] = [a[at], b[at]];
    if (left === right) continue;
    if (left === undefined) return -1;
    if (right === undefined) return 1;
    const bothNumbers = /^\d+$/.test(left) && /^\d+$/.test(right);
    const difference = bothNumbers ? Number(left) - Number(right) : 0;
    if (difference !== 0) return difference;
    if (!bothNumbers) return left < right ? -1 : 1;
  }
  return 0;
}
