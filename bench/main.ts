import { readdirSync } from 'node:fs';

/** `npm run bench` lists the benchmarks, `npm run bench NAME [-- options]` runs one. */
const folder = new URL('./', import.meta.url);
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.ts') && !['main.ts', 'generator.ts', 'standalone-copy.ts'].includes(file))
  .map((file) => file.slice(0, -3));
const name = process.argv[2];
if (name === undefined || !names.includes(name)) {
  process.stdout.write(`npm run bench NAME, one of:\n${names.map((each) => `  ${each}\n`).join('')}`);
  process.exitCode = name === undefined ? 0 : 2;
} else {
  process.argv.splice(2, 1);
  await import(new URL(`${name}.ts`, folder).href);
}
