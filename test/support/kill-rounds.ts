import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectEmbeddedLog } from '@rocketmq-connect/message-log/embedded/client';
import { EmbeddedLog } from '@rocketmq-connect/message-log/embedded/log';
import { decodeFetched } from '@rocketmq-connect/message-log/message';
import { startStandalone, waitFor } from './standalone.ts';

export interface KillRounds {
  readonly rounds: number;
  readonly lines: number;
  readonly seed: number;
}

/**
 * Copies a file that grows to `lines` through a real standalone that is killed at random moments, `rounds` times; then lets it finish and
 * compares the topic and the sink file with the source, byte for byte.
 */
export async function killRounds({ rounds, lines, seed }: KillRounds): Promise<{ readonly lines: number; readonly unclean: number }> {
  const random = seeded(seed);
  const cwd = mkdtempSync(join(tmpdir(), 'rmqc-kill-'));
  const dataDir = join(cwd, 'data');
  const source = join(cwd, 'source.txt');
  const copy = join(cwd, 'copy.txt');
  // Commits every 50 ms put kills before, in and after commits, not only between them.
  const args = ['--no-quickstart', '--offsets-commit-interval-ms', '50'];
  let written = 0;
  const grow = (to: number): void => {
    let text = '';
    for (; written < to; written++) text += `${written} ${'abcdefghij'.repeat(Math.floor(random() * 20))}\n`;
    appendFileSync(source, text);
  };
  try {
    grow(Math.ceil(lines / rounds / 2));
    for (let round = 0; round < rounds; round++) {
      const mesh = await startStandalone({ dataDir, cwd, args });
      if (round === 0) {
        await mesh.request('POST', '/connectors', {
          name: 'out',
          config: { 'connector.class': 'FileStreamSource', file: source, topic: 'lines' },
        });
        await mesh.request('POST', '/connectors', {
          name: 'in',
          config: { 'connector.class': 'FileStreamSink', file: copy, topics: 'lines' },
        });
      }
      const until = performance.now() + random() * 1500;
      while (performance.now() < until) {
        if (written < ((round + 1) * lines) / rounds) grow(Math.min(lines, written + Math.ceil((random() * lines) / rounds / 8)));
        await new Promise((resolve) => setTimeout(resolve, random() * 20));
      }
      await mesh.kill();
    }
    grow(lines);
    const mesh = await startStandalone({ dataDir, cwd, args });
    const size = statSync(source).size;
    await waitFor(() => existsSync(copy) && statSync(copy).size >= size, `the copy has ${size} bytes\n${mesh.output()}`, 120_000);
    assert.equal(await mesh.interrupt(), 0, mesh.output());
    const expected = readFileSync(source);
    assert.ok(readFileSync(copy).equals(expected), `the sink file differs from the source (seed ${seed})`);
    assert.ok(
      (await topicContent(join(dataDir, 'messages'), 'lines')).equals(expected),
      `the topic differs from the source (seed ${seed})`,
    );
    return { lines: written, unclean: rounds };
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

/** Every message of a topic whose records all went to one queue, as lines. */
async function topicContent(directory: string, topic: string): Promise<Buffer> {
  const opened = await EmbeddedLog.open(directory);
  const { connection, release } = opened.connect();
  const log = await connectEmbeddedLog(connection);
  try {
    const { queues } = await log.describeTopic(topic);
    const chunks: Buffer[] = [];
    for (const queue of queues) {
      const reader = await log.assign('test', [{ queue, position: 0 }]);
      const end = await log.maxOffset(queue);
      for (let next = 0; next < end; ) {
        for (const fetched of await reader.read(1 << 20, 1000, new AbortController().signal)) {
          assert.equal(fetched.offset, next, 'positions follow one another');
          next += fetched.count;
          decodeFetched(fetched, (body) => chunks.push(Buffer.from(body), Buffer.from('\n')));
        }
      }
      await reader.close();
    }
    return Buffer.concat(chunks);
  } finally {
    await log.close();
    release();
    await opened.close();
  }
}

/** A small seeded generator (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
