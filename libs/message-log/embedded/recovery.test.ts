import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import type { FetchedMessages } from '../index.ts';
import { BatchBuilder, decodeMessages } from '../message.ts';
import type { PositionLostError } from '../position-lost.ts';
import { ControlMemory, type Tail } from './control.ts';
import { QueueCursor } from './cursor.ts';
import { FRAME_HEADER_BYTES } from './frame.ts';
import { type RecoveryFinding, recoverQueue } from './recovery.ts';
import { segmentPath } from './segments.ts';
import { QueueWriter, writeAt } from './writer.ts';

const SEGMENT_BYTES = 400;

describe('Recovery of a queue', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'recovery-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('keeps every whole frame, and nothing else, of a file torn at any byte', () => {
    fc.assert(
      fc.property(history, fc.nat(), fc.boolean(), (batches, at, zeros) => {
        clean(directory);
        const written = writeAll(directory, batches);
        const last = written.at(-1) as Written;
        const path = segmentPath(directory, last.segment);
        const size = last.at + last.length;
        const torn = at % (size + 1);
        truncateSync(path, torn);
        // After a power failure a file may have its length but not its content.
        if (zeros) truncateSync(path, size);
        const { content, findings } = reopen(directory);
        const whole = written.filter((frame) => frame.segment < last.segment || frame.at + frame.length <= torn);
        assert.deepEqual(content, bodies(whole));
        const boundary = torn === 0 || written.some((frame) => frame.segment === last.segment && frame.at + frame.length === torn);
        const clipped = (zeros && torn < size) || !boundary;
        assert.deepEqual(
          findings.map(({ kind }) => kind),
          clipped ? ['tornTail'] : [],
        );
      }),
      { numRuns: 150 },
    );
  });

  it('loses nothing without a word when a bit flips, wherever: what was flushed stays readable around it', () => {
    fc.assert(
      fc.property(history, fc.nat(), fc.nat(), fc.nat(), fc.nat(7), (batches, checkpointAt, flushedAt, where, bit) => {
        clean(directory);
        const forced = checkpointAt % (batches.length + 1);
        const flushes = forced + (flushedAt % (batches.length + 1 - forced));
        const written = writeAll(directory, batches, flushes);
        const hit = written[where % written.length] as Written;
        const index = written.indexOf(hit);
        flip(segmentPath(directory, hit.segment), hit.at + (where % hit.length), bit);

        const checkpoint = forced === 0 ? undefined : written[forced - 1]?.after;
        const { content, findings, lost } = reopen(directory, checkpoint);
        const before = bodies(written.slice(0, index));
        const around = [...before, ...bodies(written.slice(index + 1))];
        // A frame that was written after the flush says that it was; the checkpoint says it too.
        const known = index < forced || (index < flushes && flushes < batches.length);
        const isLast = index === batches.length - 1;
        if (known) {
          assert.deepEqual(content, around);
          assert.deepEqual(lost, [[hit.offset, hit.offset + hit.bodies.length]]);
          assert.deepEqual(
            findings.map(({ kind, offset }) => [kind, offset]),
            index < forced ? [] : [['damaged', hit.offset]],
          );
        } else {
          assert.deepEqual(content, before);
          assert.deepEqual(lost, []);
          assert.deepEqual(
            findings.map(({ kind, offset }) => [kind, offset]),
            [[isLast ? 'tornTail' : 'unflushed', hit.offset]],
          );
          assert.equal(
            readdirSync(directory).some((name) => name.endsWith('.cut')),
            !isLast,
            'acknowledged messages that are cut off are kept aside',
          );
        }
      }),
      { numRuns: 300 },
    );
  });

  it('never gives a position twice: after a checkpoint that the files fall short of, the queue goes on behind it', () => {
    const written = writeAll(directory, [3, 3, 3]);
    const { after, at, segment } = written.at(-1) as Written;
    truncateSync(segmentPath(directory, segment), at + 5);
    const { content, findings, tail, lost } = reopen(directory, after);
    assert.deepEqual(content, bodies(written.slice(0, -1)));
    assert.equal(tail.nextOffset, 9);
    assert.deepEqual(lost, [[6, 9]]);
    assert.deepEqual(
      findings.map(({ kind, offset }) => [kind, offset]),
      [['damaged', 9]],
    );
  });

  it('goes on behind the checkpoint when all segments are gone', () => {
    const { after } = writeAll(directory, [3, 3]).at(-1) as Written;
    clean(directory);
    const { tail, minOffset, findings } = reopen(directory, after);
    assert.deepEqual([tail.nextOffset, minOffset], [6, 6]);
    assert.equal(findings[0]?.kind, 'damaged');
  });

  it('begins at the first segment when retention removed that of the checkpoint', () => {
    const written = writeAll(directory, [5, 5, 5, 5, 5, 5]);
    const checkpoint = (written[0] as Written).after;
    const segments = [...new Set(written.map(({ segment }) => segment))];
    assert.ok(segments.length >= 2);
    rmSync(segmentPath(directory, 0));
    const { content, findings, minOffset } = reopen(directory, checkpoint);
    assert.equal(minOffset, segments[1]);
    assert.deepEqual(content, bodies(written.filter(({ segment }) => segment > 0)));
    assert.deepEqual(findings, []);
  });

  it('takes a segment that is missing between others for damage if it had been flushed, and keeps the rest', () => {
    const written = writeAll(directory, [5, 5, 5, 5, 5, 5], 5);
    const [, middle = 0, third = 0] = [...new Set(written.map(({ segment }) => segment))];
    assert.ok(third > middle);
    rmSync(segmentPath(directory, middle));
    const { content, findings, lost } = reopen(directory);
    assert.deepEqual(content, bodies(written.filter(({ segment }) => segment !== middle)));
    assert.deepEqual(lost, [[middle, third]]);
    assert.equal(findings[0]?.kind, 'damaged');
  });

  it('ignores a frame that a killed thread wrote behind the end of a segment that others closed', () => {
    const written = writeAll(directory, [2, 2]);
    const last = written.at(-1) as Written;
    const path = segmentPath(directory, last.segment);
    const unpublished = readFileSync(path).subarray(last.at);
    const successor = mkdtempSync(join(tmpdir(), 'recovery-'));
    try {
      // The frame at positions 4 and 5 once more, as it lies in a queue where it was never published.
      const more = writeAll(successor, [2, 2, 2]);
      const third = more.at(-1) as Written;
      const frame = readFileSync(segmentPath(successor, third.segment)).subarray(third.at);
      writeFileSync(path, Buffer.concat([readFileSync(path), frame]));
      writeFileSync(segmentPath(directory, 4), frame);
      const { content, findings } = reopen(directory);
      assert.deepEqual(content, bodies(more));
      assert.deepEqual(findings, []);
      assert.equal(readFileSync(path).length, last.at + unpublished.length, 'and cuts it off');
    } finally {
      rmSync(successor, { recursive: true });
    }
  });
});

/** How many messages each batch has. */
const history = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 12 });

interface Written {
  readonly segment: number;
  readonly at: number;
  readonly length: number;
  readonly offset: number;
  readonly bodies: readonly string[];
  readonly after: Tail;
}

/** Writes batches as a client would; everything before batch `flushedAt` counts as flushed from then on. */
function writeAll(directory: string, batches: readonly number[], flushedAt = 0): Written[] {
  const control = new ControlMemory();
  control.occupy(0, 1, { nextOffset: 0, segment: 0, bytes: 0, storedAtMs: 0 }, 0, 0);
  const writer = new QueueWriter(control, 0, directory, SEGMENT_BYTES, writeAt);
  const written: Written[] = [];
  for (const [index, count] of batches.entries()) {
    if (index === flushedAt) control.raiseFlushed(0, control.tail(0).nextOffset);
    const texts = Array.from({ length: count }, (_, message) => `batch ${index} message ${message}`);
    const builder = new BatchBuilder(64);
    for (const text of texts) builder.add(Buffer.from(text), 'not zero at its end');
    const batch = builder.take();
    const offset = writer.append(batch, crc32(batch.bytes), 1_000 + index);
    const after = control.tail(0);
    const length = FRAME_HEADER_BYTES + batch.bytes.length;
    written.push({ segment: after.segment, at: after.bytes - length, length, offset, bodies: texts, after });
  }
  writer.close();
  return written;
}

function bodies(written: readonly Written[]): string[] {
  return written.flatMap((frame) => frame.bodies);
}

/** Recovers, then reads everything there is, stepping over damage. */
function reopen(
  directory: string,
  checkpoint?: Tail,
): { content: string[]; findings: readonly RecoveryFinding[]; tail: Tail; minOffset: number; lost: number[][] } {
  const { tail, minOffset, findings } = recoverQueue(directory, checkpoint);
  const control = new ControlMemory();
  control.occupy(0, 1, tail, minOffset, 0);
  const cursor = new QueueCursor(control, 0, directory, { topic: 't', broker: 'embedded', queue: 0 }, minOffset);
  const fetched: FetchedMessages[] = [];
  const lost: number[][] = [];
  while (cursor.offset < tail.nextOffset) {
    try {
      assert.ok(cursor.fetch(1024 * 1024, true, fetched) > 0, `nothing at ${cursor.offset} of ${tail.nextOffset}`);
    } catch (error) {
      const { code, position, resumeAt } = error as PositionLostError;
      assert.equal(code, 'LOG_DAMAGED', String(error));
      lost.push([position, resumeAt]);
      cursor.seek(resumeAt);
    }
  }
  cursor.close();
  const content: string[] = [];
  for (const { bytes } of fetched) decodeMessages(bytes, (body) => content.push(body.toString()));
  return { content, findings, tail, minOffset, lost };
}

function flip(path: string, at: number, bit: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
  writeFileSync(path, bytes);
}

function clean(directory: string): void {
  for (const name of readdirSync(directory)) rmSync(join(directory, name));
}
