import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { FileStreamSink, FileStreamSource } from '@rocketmq-connect/connector-file';
import type { SourceRecord } from '@rocketmq-connect/sdk';
import { sinkChecks, sourceChecks } from '@rocketmq-connect/sdk/testing';

describe('conformance: FileStreamSource', () => {
  const checks = sourceChecks({
    definition: FileStreamSource,
    rounds: 5,
    async open() {
      const folder = await newFolder();
      const file = join(folder, 'in.txt');
      return {
        config: { file, topic: 't', 'batch.size': '7', 'poll.interval.ms': '10' },
        write: (from, to) => appendFile(file, lines(from, to)),
        itemOf: itemOfRecord,
        close: () => rm(folder, { recursive: true }),
      };
    },
  });
  for (const { name, run } of checks) it(name, run);
});

describe('conformance: FileStreamSource over several files and tasks', () => {
  const checks = sourceChecks({
    definition: FileStreamSource,
    rounds: 3,
    async open() {
      const folder = await newFolder();
      for (const name of ['a', 'b', 'c']) await appendFile(join(folder, `${name}.log`), '');
      return {
        config: { file: join(folder, '*.log'), topic: 't', 'tasks.max': '2', 'batch.size': '11', 'poll.interval.ms': '10' },
        async write(from, to) {
          for (let item = from; item < to; item += 1) await appendFile(join(folder, `${'abc'[item % 3]}.log`), lines(item, item + 1));
        },
        itemOf: itemOfRecord,
        close: () => rm(folder, { recursive: true }),
      };
    },
  });
  for (const { name, run } of checks) it(name, run);
});

describe('conformance: FileStreamSource of a .gz file that grows by members', () => {
  const checks = sourceChecks({
    definition: FileStreamSource,
    rounds: 3,
    async open() {
      const folder = await newFolder();
      const file = join(folder, 'in.txt.gz');
      return {
        config: { file, topic: 't', 'batch.size': '7', 'poll.interval.ms': '10' },
        write: (from, to) => appendFile(file, gzipSync(lines(from, to))),
        itemOf: itemOfRecord,
        close: () => rm(folder, { recursive: true }),
      };
    },
  });
  for (const { name, run } of checks) it(name, run);
});

for (const [title, more] of [
  ['FileStreamSink', {}],
  ['FileStreamSink with rotation', { 'file.rotate.bytes': '300' }],
] as const) {
  describe(`conformance: ${title}`, () => {
    const checks = sinkChecks({
      definition: FileStreamSink,
      delivery: 'exactlyOnce',
      rounds: 12,
      async open() {
        const folder = await newFolder();
        const file = join(folder, 'out.txt');
        return {
          config: { file, 'file.fsync': 'never', ...more },
          value: (item) => Buffer.from(lineOf(item)),
          effects: () => itemsOfFiles(file),
          close: () => rm(folder, { recursive: true }),
        };
      },
    });
    for (const { name, run } of checks) it(name, run);
  });
}

function newFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'rmqc-file-'));
}

/** Lengths differ, so that positions do. */
function lineOf(item: number): string {
  return `${item} ${'x'.repeat((item * 7) % 60)}`;
}

function lines(from: number, to: number): string {
  let text = '';
  for (let item = from; item < to; item += 1) text += `${lineOf(item)}\n`;
  return text;
}

function itemOfRecord({ value }: SourceRecord): number {
  return Number.parseInt(String(value), 10);
}

/** What stands in the file and, before it, in those it was rotated to. */
async function itemsOfFiles(file: string): Promise<number[]> {
  let text = '';
  for (let rotation = 1; ; rotation += 1) {
    const rotated = await readFile(`${file}.${rotation}`, 'utf8').catch(() => undefined);
    if (rotated === undefined) break;
    text += rotated;
  }
  text += await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => Number.parseInt(line, 10));
}
