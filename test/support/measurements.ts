import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';

/** Adds a row to a table that ends a page of docs/measurements/; its first cell is the commit. */
export function recordRow(page: string, ...cells: readonly (string | number)[]): void {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  appendFileSync(new URL(`../../docs/measurements/${page}`, import.meta.url), `| ${[commit, ...cells].join(' | ')} |\n`);
}
