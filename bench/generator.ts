import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { parseArgs } from 'node:util';
import { seededRandom } from '@rocketmq-connect/sdk/testing';

/**
 * Writes numbered lines: `node bench/generator.ts --lines 1000000 --bytes 137 --out FILE`. The same options give the same bytes.
 * A line has its number in ten digits, a space and text, and `--bytes` bytes with its newline.
 */
const { values } = parseArgs({
  options: {
    lines: { type: 'string', default: '1000000' },
    bytes: { type: 'string', default: '137' },
    /** '-': standard output. */
    out: { type: 'string', default: '-' },
    seed: { type: 'string', default: '1' },
    /** Number of the first line. */
    from: { type: 'string', default: '0' },
    append: { type: 'boolean', default: false },
  },
});

const digits = 10;
const newline = 10;
const chunkBytes = 1024 * 1024;
const textBytes = 64 * 1024;

const lines = whole('lines', values.lines, 0);
const bytes = whole('bytes', values.bytes, digits + 2);
const from = whole('from', values.from, 0);
const text = randomText(whole('seed', values.seed, 0), textBytes + bytes);

const out: WriteStream | NodeJS.WriteStream =
  values.out === '-' ? process.stdout : createWriteStream(values.out, { flags: values.append ? 'a' : 'w' });
const linesPerChunk = Math.max(1, Math.floor(chunkBytes / bytes));
for (let first = from; first < from + lines; first += linesPerChunk) {
  const count = Math.min(linesPerChunk, from + lines - first);
  if (!out.write(numberedLines(first, count))) await once(out, 'drain');
}
if (out !== process.stdout) {
  out.end();
  await once(out, 'finish');
}

function numberedLines(first: number, count: number): Buffer {
  const chunk = Buffer.allocUnsafe(count * bytes);
  for (let index = 0; index < count; index += 1) {
    const at = index * bytes;
    let rest = first + index;
    for (let digit = digits - 1; digit >= 0; digit -= 1) {
      chunk[at + digit] = 48 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
    chunk[at + digits] = 32;
    // Each line begins elsewhere in the text, so that a lost or swapped one shows.
    const start = ((first + index) * 7919) % textBytes;
    text.copy(chunk, at + digits + 1, start, start + bytes - digits - 2);
    chunk[at + bytes - 1] = newline;
  }
  return chunk;
}

function randomText(seed: number, length: number): Buffer {
  const letters = Buffer.from('abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789');
  const random = seededRandom(seed);
  return Buffer.from(Uint8Array.from({ length }, () => letters[Math.floor(random() * letters.length)] ?? newline));
}

function whole(name: string, value: string, least: number): number {
  const number = Number(value);
  if (Number.isSafeInteger(number) && number >= least) return number;
  process.stderr.write(`--${name} must be a whole number from ${least}: ${value}\n`);
  process.exit(2);
}
