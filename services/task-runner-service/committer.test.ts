import assert from 'node:assert/strict';
import type { CommitContent } from '@rocketmq-connect/pipeline/host-protocol';
import { type CommitRequest, type CommitResponse, CommitResult } from '@rocketmq-connect/proto/commit';
import { ConnectError } from '@rocketmq-connect/sdk';
import fc from 'fast-check';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { Committer } from './committer.ts';
import { pieceOffsetsMax, splitIntoPieces, uncleanMarks } from './pieces.ts';

const TOKEN = 7n;
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const noContent: CommitContent = { offsets: [], positions: [], sinkStates: {}, marks: [], topics: [] };

/** config-service as it answers, with its fence; `lose` decides what happens to a piece. */
class FakeConfigService {
  readonly seen: CommitRequest[] = [];
  readonly stored = new Map<string, string>();
  owner: bigint | null = TOKEN;
  sequence = 0n;
  fate: (piece: CommitRequest) => 'answered' | 'lost' | 'answerLost' | 'retry' | 'refused' = () => 'answered';

  send = async (piece: CommitRequest): Promise<CommitResponse> => {
    this.seen.push(structuredClone(piece));
    const fate = this.fate(piece);
    if (fate === 'lost') throw new ConnectError('unavailable', 'lost');
    if (fate === 'retry') return answer(piece, CommitResult.RETRY);
    if (fate === 'refused') return { ...answer(piece, CommitResult.REFUSED), message: 'too large' };
    const result = this.#take(piece);
    if (fate === 'answerLost') throw new ConnectError('unavailable', 'the answer was lost');
    return answer(piece, result);
  };

  #take(piece: CommitRequest): CommitResult {
    if (this.owner !== piece.token) return CommitResult.FENCED;
    if (piece.sequence === this.sequence) return CommitResult.OK;
    if (piece.sequence < this.sequence) return CommitResult.STALE;
    this.sequence = piece.sequence;
    for (const { partitionJson, offsetJson } of piece.offsets) this.stored.set(partitionJson, offsetJson);
    if (piece.release) this.owner = null;
    return CommitResult.OK;
  }
}

function answer({ connector, task, token, sequence }: CommitRequest, result: CommitResult): CommitResponse {
  return { connector, task, token, sequence, result, message: '' };
}

function given() {
  const clock = new VirtualClock();
  const config = new FakeConfigService();
  let storedContents = 0;
  const committer = new Committer({
    connector: 'c',
    task: 0,
    generation: '0000000000000001',
    token: TOKEN,
    send: config.send,
    clock,
    random: () => 0.5,
    log: silent,
    onStored: () => storedContents++,
  });
  return { clock, config, committer, stored: () => storedContents };
}

const offsets = (count: number, value = 1) =>
  Array.from({ length: count }, (_, i) => ({ partition: `{"p":${i}}`, offset: `{"o":${value}}` }));
const mark = (offset: number) => ({ queue: { topic: 't', broker: 'b', queue: 0 }, offset });

describe('the committer', () => {
  it('repeats the outstanding piece with the same sequence and content until it is answered, and only then sends the next', async () => {
    const { clock, config, committer } = given();
    const fates = ['lost', 'answerLost', 'retry', 'answered', 'lost', 'answered'] as const;
    let at = 0;
    config.fate = () => fates[at++] ?? 'answered';
    const outcome = committer.commit({ ...noContent, offsets: offsets(60) });
    await clock.advance(30_000);
    assert.deepEqual(await outcome, { type: 'stored' });
    assert.deepEqual(
      config.seen.map(({ sequence, offsets: sent }) => [sequence, sent.length]),
      [
        [1n, 50],
        [1n, 50],
        [1n, 50],
        [1n, 50],
        [2n, 10],
        [2n, 10],
      ],
    );
    assert.deepEqual(config.seen[0], config.seen[3]);
  });

  it('tells with each piece of traced content which span it is below', async () => {
    const { config, committer } = given();
    const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
    await committer.commit({ ...noContent, offsets: offsets(60), traceparent });
    await committer.commit({ ...noContent, offsets: offsets(1) });
    assert.deepEqual(
      config.seen.map((piece) => piece.traceparent),
      [traceparent, traceparent, ''],
    );
  });

  it('S103: sends nothing more once it was fenced', async () => {
    const { config, committer } = given();
    config.owner = 99n;
    assert.deepEqual(await committer.commit({ ...noContent, offsets: offsets(120) }), { type: 'fenced' });
    assert.deepEqual(await committer.commit({ ...noContent, offsets: offsets(1) }), { type: 'fenced' });
    assert.equal(config.seen.length, 1);
    assert.equal(config.stored.size, 0);
  });

  it('gives the owner key back with the last piece, and with no other', async () => {
    const { config, committer } = given();
    const status = {
      state: 'UNIT_STATE_UNASSIGNED',
      token: TOKEN,
      generation: '',
      runner: 'r',
      error: '',
      sinceMs: 0n,
      version: '',
    } as const;
    assert.deepEqual(await committer.release({ ...noContent, offsets: offsets(51) }, status), { type: 'stored' });
    assert.deepEqual(
      config.seen.map(({ release, releaseStatus }) => [release, releaseStatus?.state]),
      [
        [false, undefined],
        [true, 'UNIT_STATE_UNASSIGNED'],
      ],
    );
    assert.equal(config.owner, null);
  });

  it('takes FENCED for a released key when only the answer of the release was lost', async () => {
    const { clock, config, committer } = given();
    let answers = 0;
    config.fate = () => (answers++ === 0 ? 'answerLost' : 'answered');
    const status = {
      state: 'UNIT_STATE_UNASSIGNED',
      token: TOKEN,
      generation: '',
      runner: 'r',
      error: '',
      sinceMs: 0n,
      version: '',
    } as const;
    const released = committer.release({ ...noContent, offsets: offsets(1) }, status);
    await clock.advance(5000);
    assert.deepEqual(await released, { type: 'fenced' });
    assert.equal(config.owner, null);
  });

  it('stores nothing where nothing changed, and says that it is stored', async () => {
    const { config, committer, stored } = given();
    committer.observe(
      {
        token: TOKEN,
        sequence: 9n,
        generation: '',
        released: false,
        marks: [{ queue: mark(0).queue, offset: 5n, inherited: false }],
        topics: [],
      },
      [],
    );
    assert.deepEqual(await committer.commit({ ...noContent, marks: [mark(5)] }), { type: 'stored' });
    assert.equal(config.seen.length, 0);
    await committer.commit({ ...noContent, marks: [mark(6)] });
    assert.equal(config.seen.length, 1);
    assert.equal(stored(), 1);
  });

  it('stores marks anew that an earlier owner had stored: its clean end made them void', async () => {
    const { config, committer } = given();
    committer.observe(
      {
        token: 3n,
        sequence: 9n,
        generation: '',
        released: true,
        marks: [{ queue: mark(0).queue, offset: 5n, inherited: false }],
        topics: [],
      },
      [],
    );
    await committer.commit({ ...noContent, marks: [mark(5)] });
    assert.deepEqual(
      config.seen.map(({ marks }) => marks[0]?.offset),
      [5n],
    );
  });

  it('keeps the marks of unclean ends until content is stored whole', async () => {
    const { config, committer } = given();
    committer.observe(undefined, [mark(3)]);
    await committer.commit({ ...noContent, offsets: offsets(60), marks: [mark(9)] });
    assert.deepEqual(
      config.seen.map(({ marks }) => marks[0]?.offset),
      [3n, 9n],
    );
  });

  it('goes on after the sequence that this token has already reached', async () => {
    const { config, committer } = given();
    config.sequence = 41n;
    committer.observe({ token: TOKEN, sequence: 41n, generation: '', released: false, marks: [], topics: [] }, []);
    assert.deepEqual(await committer.commit({ ...noContent, offsets: offsets(1) }), { type: 'stored' });
    assert.equal(config.sequence, 42n);
  });

  it('S102: holds later content back until the outstanding piece is answered, so that offsets never go back (invariant 4)', async () => {
    const { clock, config, committer } = given();
    config.fate = () => 'lost';
    const first = committer.commit({ ...noContent, offsets: offsets(1, 1) });
    const second = committer.commit({ ...noContent, offsets: offsets(1, 2) });
    await clock.advance(1000);
    assert.deepEqual(new Set(config.seen.map(({ sequence }) => sequence)), new Set([1n]));
    let settled = false;
    void committer.settled().then(() => {
      settled = true;
    });
    await clock.settle();
    assert.equal(settled, false);
    config.fate = () => 'answered';
    await clock.advance(5000);
    assert.deepEqual([await first, await second], [{ type: 'stored' }, { type: 'stored' }]);
    assert.equal(config.stored.get('{"p":0}'), '{"o":2}');
  });

  it('does not repeat a piece that can never be stored, and says why', async () => {
    const { config, committer } = given();
    config.fate = () => 'refused';
    assert.deepEqual(await committer.commit({ ...noContent, offsets: offsets(1) }), { type: 'refused', message: 'too large' });
    assert.equal(config.seen.length, 1);
  });

  it('ends quietly with the session, whatever is outstanding', async () => {
    const { clock, config, committer } = given();
    config.fate = () => 'lost';
    const outcome = committer.commit({ ...noContent, offsets: offsets(1) });
    await clock.advance(100);
    committer.close();
    await clock.advance(10_000);
    assert.deepEqual(await outcome, { type: 'closed' });
    const sent = config.seen.length;
    assert.deepEqual(await committer.commit({ ...noContent, offsets: offsets(1) }), { type: 'closed' });
    assert.equal(config.seen.length, sent);
  });
});

describe('the pieces of a commit', () => {
  it('hold every offset once, in order, at most 50 each; only the last has the new marks', () => {
    fc.assert(
      fc.property(fc.nat(300), (count) => {
        const pieces = splitIntoPieces({ ...noContent, offsets: offsets(count), marks: [mark(2)] }, [mark(1)]);
        assert.ok(pieces.every((piece) => piece.offsets.length <= pieceOffsetsMax));
        assert.deepEqual(
          pieces.flatMap((piece) => piece.offsets.map(({ partitionJson }) => partitionJson)),
          offsets(count).map(({ partition }) => partition),
        );
        assert.deepEqual(
          pieces.map(({ marks }) => marks[0]?.offset),
          pieces.map((_, i) => (i === pieces.length - 1 ? 2 : 1)),
        );
      }),
    );
  });

  it('stay below the size of a transaction, whatever offsets hold', () => {
    const large = Array.from({ length: 40 }, (_, i) => ({ partition: `{"p":${i}}`, offset: `{"o":"${'x'.repeat(60_000)}"}` }));
    const pieces = splitIntoPieces({ ...noContent, offsets: large }, []);
    assert.ok(pieces.every((piece) => JSON.stringify(piece.offsets.map(({ offsetJson }) => offsetJson)).length < 600_000));
    assert.equal(pieces.flatMap((piece) => piece.offsets).length, 40);
  });

  it('hold the states of a sink with all its positions', () => {
    const positions = Array.from({ length: 50 }, (_, queue) => ({ queue: { topic: 't', broker: 'b', queue }, position: queue }));
    const pieces = splitIntoPieces({ ...noContent, positions, sinkStates: { file: '{"length":1}' } }, []);
    assert.equal(pieces.length, 1);
    assert.equal(pieces[0]?.offsets.length, 50);
    assert.deepEqual(pieces[0]?.sinkStates, { file: '{"length":1}' });
  });
});

describe('where records may be that were sent and not committed', () => {
  const commit = (
    task: number,
    generation: string,
    released: boolean,
    marks: readonly [queue: number, offset: number, inherited?: true][],
  ) => {
    const stored = marks.map(([queue, offset, inherited]) => {
      return { queue: { topic: 't', broker: 'b', queue }, offset: BigInt(offset), inherited: inherited === true };
    });
    return { task, commit: { token: TOKEN, sequence: 1n, generation, released, marks: stored, topics: [] } };
  };
  const found = (commits: readonly ReturnType<typeof commit>[], task: number) =>
    uncleanMarks(commits, task, 'new').map(({ queue, offset, inherited }) => [queue.queue, offset, ...(inherited ? ['inherited'] : [])]);

  it('is behind every mark of an older generation that did not end cleanly', () => {
    assert.deepEqual(found([commit(0, 'old', false, [[0, 5]]), commit(1, 'old', true, [[1, 6]])], 1), [[0, 5]]);
  });

  it('is what a task of this generation carries on, whose commit took the place of an older one; not what it sent itself', () => {
    assert.deepEqual(
      found(
        [
          commit(0, 'new', false, [
            [0, 90],
            [0, 5, true],
          ]),
        ],
        2,
      ),
      [[0, 5, 'inherited']],
    );
  });

  it('is behind its own marks alone, once it has committed in this generation', () => {
    const own = commit(1, 'new', false, [
      [1, 70],
      [0, 8, true],
    ]);
    assert.deepEqual(found([commit(0, 'old', false, [[0, 5]]), own], 1), [
      [1, 70],
      [0, 8, 'inherited'],
    ]);
  });
});
