import assert from 'node:assert/strict';
import type { SourceRecord } from '@rocketmq-connect/sdk';
import fc from 'fast-check';
import { type AckSegment, AckTracker, type TrackedPoll } from './ack-tracker.ts';

const partitions = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];

interface ModelRecord {
  readonly partition: number;
  readonly offset: number;
  readonly poll: number;
  open: number;
}

/** All records that were polled, and rules as plain as possible over them. */
class Model {
  readonly records: ModelRecord[] = [];
  readonly committed = new Map<number, number>();

  /** The offset of the longest done prefix, not splitting a group of one offset; never back. */
  committable(partition: number): number | undefined {
    const own = this.records.filter((record) => record.partition === partition);
    const open = own.findIndex((record) => record.open > 0);
    const prefix = open === -1 ? own : own.slice(0, open);
    const next = open === -1 ? undefined : own[open]?.offset;
    const offset = prefix.findLast((record) => record.offset !== next)?.offset;
    const before = this.committed.get(partition);
    return offset === undefined || (before !== undefined && offset < before) ? before : offset;
  }

  checkpoint(polls: readonly (number | undefined)[]): number | undefined {
    const firstOpen = Math.min(polls.length, ...this.records.filter(({ open }) => open > 0).map(({ poll }) => poll));
    return polls.slice(0, firstOpen).findLast((checkpoint) => checkpoint !== undefined);
  }
}

describe('ack tracker', () => {
  it('S088: acknowledgements out of order commit only the longest acknowledged prefix per partition', () => {
    const step = fc.oneof(
      fc.record({
        poll: fc.array(fc.record({ partition: fc.nat(2), step: fc.nat(2), parts: fc.integer({ min: 1, max: 3 }) }), { maxLength: 8 }),
        checkpoint: fc.boolean(),
      }),
      fc.record({ done: fc.nat(40), run: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ freeze: fc.constant(true) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const tracker = new AckTracker();
        const model = new Model();
        const last = [0, 0, 0];
        const polls: (number | undefined)[] = [];
        const handles: { record: ModelRecord; segment: AckSegment; index: number }[] = [];
        for (const step of steps) {
          if ('poll' in step) {
            const checkpoint = step.checkpoint ? polls.length : undefined;
            const records = step.poll.map(({ partition, step, parts }): ModelRecord => {
              last[partition] = (last[partition] ?? 0) + step;
              return { partition, offset: last[partition], poll: polls.length, open: parts };
            });
            polls.push(checkpoint);
            model.records.push(...records);
            const poll = tracker.track(records.map(sourceRecord), checkpoint);
            handles.push(...records.map((record) => ({ record, ...place(tracker, poll, record) })));
          } else if ('done' in step) {
            // A part of a split record, or a run of whole records of one segment, as batches acknowledge them.
            const open = handles.filter(({ record }) => record.open > 0);
            const first = open[step.done % Math.max(1, open.length)];
            if (first === undefined) continue;
            if (first.segment.parts?.has(first.index)) {
              assert.equal(tracker.done(first.segment, first.index, first.index + 1), first.record.open === 1 ? 1 : 0);
              first.record.open--;
              continue;
            }
            const run = [first];
            for (let at = first.index + 1; run.length < step.run; at++) {
              const next = open.find(({ segment, index }) => segment === first.segment && index === at);
              if (next === undefined || next.segment.parts?.has(at)) break;
              run.push(next);
            }
            assert.equal(tracker.done(first.segment, first.index, first.index + run.length), run.length);
            for (const { record } of run) record.open = 0;
          } else {
            const frozen = tracker.freeze();
            for (const [i, partition] of partitions.entries()) {
              const offset = model.committable(i);
              const expected = offset === undefined || offset === model.committed.get(i) ? undefined : `{"position":${offset}}`;
              assert.equal(frozen.find((one) => one.partition.partition === partition)?.text, expected);
              if (offset !== undefined) model.committed.set(i, offset);
            }
            assert.equal(tracker.checkpoint?.value, model.checkpoint(polls));
            tracker.committed(frozen);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('S088: a record that was never acknowledged holds everything behind it, in its partition only', () => {
    const tracker = new AckTracker();
    const poll = tracker.track([
      sourceRecord({ partition: 0, offset: 1 }),
      sourceRecord({ partition: 0, offset: 2 }),
      sourceRecord({ partition: 1, offset: 7 }),
    ]);
    const [a, b] = poll.segments as [AckSegment, AckSegment];
    tracker.done(a, 1, 2);
    tracker.done(b, 0, 1);
    assert.deepEqual(
      tracker.freeze().map(({ text }) => text),
      ['{"position":7}'],
    );
    assert.equal(tracker.checkpoint, null);
  });

  it('knows a partition by its content, whatever object names it', () => {
    const tracker = new AckTracker();
    assert.equal(tracker.partition({ a: 1, b: 2 }), tracker.partition({ b: 2, a: 1 }));
  });

  it('a poll without records advances the checkpoint behind those before it', () => {
    const tracker = new AckTracker();
    const poll = tracker.track([sourceRecord({ partition: 0, offset: 1 })], 'records');
    tracker.track([], 'idle');
    assert.equal(tracker.checkpoint, null);
    tracker.done(poll.segments[0] as AckSegment, 0, 1);
    assert.deepEqual(tracker.checkpoint, { value: 'idle' });
  });

  it('names what is missing in a record of a broken source', () => {
    const tracker = new AckTracker();
    assert.throws(() => tracker.track([{ topic: 't', value: 1 } as unknown as SourceRecord]), {
      code: 'SOURCE_RECORD_INVALID',
      field: 'partition',
    });
    assert.throws(() => tracker.track([{ topic: 't', value: 1, partition: {} } as unknown as SourceRecord]), { field: 'offset' });
  });
});

function sourceRecord({ partition, offset }: { partition: number; offset: number }): SourceRecord {
  return { topic: 't', value: null, partition: partitions[partition] as { name: string }, offset: { position: offset } };
}

function place(tracker: AckTracker, poll: TrackedPoll, record: ModelRecord): { segment: AckSegment; index: number } {
  const segment = tracker.partition(partitions[record.partition] as { name: string }).segmentOf(poll);
  const index = segment.cursor++;
  if (record.open > 1) segment.split(index, record.open);
  return { segment, index };
}
