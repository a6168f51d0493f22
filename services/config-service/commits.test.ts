import assert from 'node:assert/strict';
import { CommitResult } from '@rocketmq-connect/proto/commit';
import { UnitState } from '@rocketmq-connect/proto/common';
import { StoredCommit, StoredStatus } from '@rocketmq-connect/proto/storage';
import type { SpanData } from '@rocketmq-connect/tracing';
import { formatTraceparent } from '@rocketmq-connect/tracing/trace-context';
import fc from 'fast-check';
import { type ConfigMesh, commitRequest, configMesh, sinkOffset, sourceOffset } from '../../test/support/config-mesh.ts';

const { OK, FENCED, STALE, RETRY, REFUSED } = CommitResult;

describe('commits', () => {
  let mesh: ConfigMesh;
  beforeEach(async () => {
    mesh = await configMesh();
  });
  afterEach(() => mesh.close());

  const fence = (task = 0): StoredCommit | null => {
    const kv = mesh.store.peek(mesh.keys.commits('c')).find(({ key }) => key === mesh.keys.commit('c', task));
    return kv === undefined ? null : StoredCommit.fromJSON(JSON.parse(kv.value));
  };
  const results = async (...requests: Parameters<typeof mesh.commit>): Promise<CommitResult[]> =>
    (await mesh.commit(...requests)).map(({ result }) => result);

  it('stores positions with token and class, sink states, marks and the fence in one transaction', async () => {
    const { generation, tokens } = await mesh.running('c');
    const token = tokens[0] ?? 0n;
    const before = mesh.store.revision;
    const marks = [{ queue: { topic: 't', broker: 'b', queue: 1 }, offset: 9n, inherited: false }];
    const offsets = [sourceOffset('/a', 5), sinkOffset(3, 7)];
    assert.deepEqual(await results({ generation, token, offsets, sinkStates: { 'a/b': '{"length":1}' }, marks }), [OK]);
    assert.equal(mesh.store.revision, before + 1n);
    const read = await mesh.run(mesh.commits.read({ connector: 'c', task: 0 }));
    assert.equal(read.revision, before + 1n);
    assert.deepEqual(read.sinkStates, { 'a/b': '{"length":1}' });
    assert.deepEqual(read.lastCommits, [{ task: 0, commit: { token, sequence: 1n, generation, released: false, marks, topics: ['t'] } }]);
    assert.deepEqual(read.offsets.map((o) => [o.partitionJson, o.offsetJson, o.queue?.queue, o.position, o.token, o.plugin]).sort(), [
      ['', '', 3, 7n, token, 'FileStreamSource'],
      ['{"filename":"/a"}', '{"position":5}', undefined, 0n, token, 'FileStreamSource'],
    ]);
  });

  it('have a span per traced piece, and the transaction that it shares below the first of them', async () => {
    const spans: SpanData[] = [];
    await mesh.close();
    mesh = await configMesh({ traced: spans });
    const { generation, tokens } = await mesh.running('c', 3);
    const parent = (i: number) => ({ traceId: String(i).repeat(32), spanId: String(i).repeat(16), sampled: true, state: '' });
    const piece = (task: number, more: { token?: bigint; traceparent?: string }) => ({
      ...{ task, generation, token: tokens[task] ?? 0n, offsets: [sourceOffset(`/${task}`, 5)] },
      ...more,
    });
    spans.length = 0;
    const pieces = [
      piece(0, {}),
      piece(1, { traceparent: formatTraceparent(parent(1)) }),
      piece(2, { traceparent: formatTraceparent(parent(2)) }),
    ];
    assert.deepEqual(await results(...pieces), [OK, OK, OK]);
    const served = spans.filter(({ kind }) => kind === 'server');
    assert.deepEqual(
      served.map(({ name, context, parentSpanId, attributes, error }) => [
        name,
        context.traceId,
        parentSpanId,
        attributes['rmqc.task'],
        error,
      ]),
      [1, 2].map((i) => ['rocketmq.connect.v1.CommitService/Commit', parent(i).traceId, parent(i).spanId, i, null]),
    );
    const [together, ...more] = spans.filter(({ name }) => name === 'commit pieces');
    assert.deepEqual(more, []);
    assert.deepEqual(
      [together?.parentSpanId, together?.links, together?.attributes['rmqc.pieces']],
      [served[0]?.context.spanId, [served[1]?.context], 3],
    );
    const stored = spans.filter(({ parentSpanId }) => parentSpanId === together?.context.spanId);
    assert.match(String(stored.at(-1)?.attributes['db.query.text']), /put \S+\/commits\/c\/0/);
    spans.length = 0;
    assert.deepEqual(await results(piece(0, { token: 1n, traceparent: formatTraceparent(parent(3)) })), [FENCED]);
    assert.match(spans.find(({ kind }) => kind === 'server')?.error ?? '', /FENCED: the owner key of this task has another token/);
    spans.length = 0;
    await results({ ...piece(0, {}), sequence: 2n });
    assert.deepEqual(spans, []);
  });

  it('tasks that start together share what is read, which is never older than their question', async () => {
    const { generation, tokens } = await mesh.running('c');
    let reads = 0;
    mesh.store.faults = ({ txn }) => {
      const isRead = txn?.then.every(({ op }) => op === 'range') === true;
      if (isRead) reads++;
      return isRead ? { answerDelayMs: 1000 } : undefined;
    };
    const position = async (): Promise<string | undefined> => (await mesh.commits.read({ connector: 'c', task: 0 })).offsets[0]?.offsetJson;
    const first = position();
    await mesh.clock.advance(500);
    assert.deepEqual(await results({ generation, token: tokens[0] ?? 0n, offsets: [sourceOffset('/a', 5)] }), [OK]);
    const later = Array.from({ length: 20 }, position);
    assert.equal(await mesh.run(first), undefined);
    assert.deepEqual(new Set(await mesh.run(Promise.all(later))), new Set(['{"position":5}']));
    assert.equal(reads, 2);
    await mesh.run(position());
    assert.equal(reads, 3);
  });

  it('knows a source partition by its content, and an empty offset removes it', async () => {
    const { generation, tokens } = await mesh.running('c');
    const at = { generation, token: tokens[0] ?? 0n };
    const offset = (partitionJson: string, offsetJson: string) => ({ ...sourceOffset('', 0), partitionJson, offsetJson });
    await mesh.commit({ ...at, sequence: 1n, offsets: [offset('{"a":1,"b":{"d":2,"c":1}}', '{"x":1}')] });
    await mesh.commit({ ...at, sequence: 2n, offsets: [offset('{"b":{"c":1,"d":2},"a":1}', '{"x":2}')] });
    assert.deepEqual(
      mesh.storedOffsets('c').map(({ offsetJson }) => offsetJson),
      ['{"x":2}'],
    );
    await mesh.commit({ ...at, sequence: 3n, offsets: [offset('{"a":1,"b":{"c":1,"d":2}}', '')] });
    assert.deepEqual(mesh.storedOffsets('c'), []);
  });

  it('tell which topics a connector uses, since they were reset, over its tasks and their restarts', async () => {
    const { generation, tokens } = await mesh.running('c', 2);
    const [token = 0n, other = 0n] = tokens;
    const topics = async (name = 'c') => (await mesh.run(mesh.connectors.activeTopics({ name }))).topics;
    const fenced = { marks: [{ queue: { topic: 't', broker: 'b', queue: 1 }, offset: 9n, inherited: false }] };
    await mesh.commit({ generation, token, sequence: 1n, topics: ['b', 'a'], ...fenced });
    await mesh.commit(
      { generation, token, sequence: 2n, topics: ['c'], ...fenced },
      { task: 1, generation, token: other, offsets: [sinkOffset(0, 1)] },
    );
    assert.deepEqual(await topics(), ['a', 'b', 'c', 't']);
    const key = mesh.keys.commit('c', 0);
    const before = { ...JSON.parse((await mesh.run(mesh.hand.get(key))).kv?.value ?? ''), ofTheFuture: 1 };
    await mesh.put(key, JSON.stringify(before));
    await mesh.run(mesh.connectors.resetActiveTopics({ name: 'c' }));
    const { topics: _, ...others } = before;
    assert.deepEqual(JSON.parse((await mesh.run(mesh.hand.get(key))).kv?.value ?? ''), others);
    assert.deepEqual(await topics(), []);
    assert.deepEqual([fence()?.sequence, fence()?.marks], [2n, fenced.marks], 'the fence stays');
    await mesh.commit({ generation, token, sequence: 3n, topics: ['a'] });
    assert.deepEqual(await topics(), ['a']);
    const many = Array.from({ length: 150 }, (_, i) => `t${i}`);
    await mesh.commit({ generation, token, sequence: 4n, topics: many });
    assert.equal((await topics()).length, 100);
    assert.deepEqual(await topics('none'), []);
    await mesh.run(mesh.connectors.resetActiveTopics({ name: 'none' }));
  });

  it('Invariant 3: a repeated piece is OK and changes nothing, a lower sequence is STALE, another token FENCED', async () => {
    const { generation, tokens } = await mesh.running('c');
    const token = tokens[0] ?? 0n;
    assert.deepEqual(await results({ generation, token, sequence: 2n, offsets: [sourceOffset('/a', 2)] }), [OK]);
    const revision = mesh.store.revision;
    assert.deepEqual(await results({ generation, token, sequence: 2n, offsets: [sourceOffset('/a', 9)] }), [OK]);
    assert.deepEqual(await results({ generation, token, sequence: 1n, offsets: [sourceOffset('/a', 1)] }), [STALE]);
    assert.deepEqual(await results({ generation, token: token - 1n, sequence: 9n, offsets: [sourceOffset('/a', 1)] }), [FENCED]);
    assert.deepEqual(await results({ generation, token: token + 1n, sequence: 9n, offsets: [sourceOffset('/a', 1)] }), [FENCED]);
    assert.equal(mesh.store.revision, revision);
    assert.equal(mesh.storedOffsets('c')[0]?.offsetJson, '{"position":2}');
  });

  it('S133: after the owner key has gone nothing is taken, also not by the next owner’s predecessor', async () => {
    const { generation, tokens } = await mesh.running('c');
    await mesh.disown();
    assert.deepEqual(await results({ generation, token: tokens[0] ?? 0n, offsets: [sourceOffset('/a', 1)] }), [FENCED]);
    const next = await mesh.ownTask('c', generation, 0);
    assert.deepEqual(await results({ generation, token: next, offsets: [sourceOffset('/a', 4)] }), [OK]);
    assert.deepEqual(await results({ generation, token: tokens[0] ?? 0n, sequence: 7n, offsets: [sourceOffset('/a', 1)] }), [FENCED]);
    assert.equal(mesh.storedOffsets('c')[0]?.offsetJson, '{"position":4}');
  });

  it('Invariant 7: a release commits, gives the owner key back and writes the status at once; its repeat is OK', async () => {
    const { generation, tokens } = await mesh.running('c');
    const token = tokens[0] ?? 0n;
    const releaseStatus = { ...StoredStatus.create(), state: UnitState.UNASSIGNED, error: 'moved' };
    const release = { generation, token, offsets: [sourceOffset('/a', 3)], release: true, releaseStatus };
    const before = mesh.store.revision;
    assert.deepEqual(await results(release), [OK]);
    assert.equal(mesh.store.revision, before + 1n);
    assert.deepEqual(mesh.store.peek(mesh.keys.taskOwners('c')), []);
    assert.equal(fence()?.released, true);
    const { status } = await mesh.run(mesh.connectors.getStatus({ name: 'c' }));
    assert.deepEqual(status?.tasks[0]?.status?.state, UnitState.UNASSIGNED);
    assert.deepEqual(status?.tasks[0]?.status?.error, 'moved');
    assert.deepEqual(await results(release), [OK]);
    assert.deepEqual(await results({ ...release, sequence: 2n }), [FENCED]);
    assert.equal(mesh.store.revision, before + 1n);
  });

  it('coalesces pieces of up to 40 tasks that come together into one transaction', async () => {
    const { generation, tokens } = await mesh.running('c', 45);
    const before = mesh.store.revision;
    const pieces = tokens.map((token, task) => ({ generation, token, task }));
    assert.deepEqual(
      await results(...pieces),
      tokens.map(() => OK),
    );
    // Three operations of a piece are allowed for, 100 are in a transaction: 33 + 12.
    assert.equal(mesh.store.revision - before, 2n);
  });

  it('lets commits wait for each other for a moment, but none that somebody waits for', async () => {
    const { generation, tokens } = await mesh.running('c', 5);
    const piece = (task: number) => ({ generation, token: tokens[task] ?? 0n, task, offsets: [sourceOffset(`/${task}`, 1)] });
    const before = mesh.store.revision;
    const first = mesh.queued(piece(0));
    await mesh.clock.advance(20);
    const second = mesh.queued(piece(1));
    await mesh.clock.advance(20);
    assert.equal(mesh.store.revision, before);
    await mesh.run(Promise.all([first, second]));
    assert.equal(mesh.store.revision, before + 1n, 'one transaction for both');

    const waiting = mesh.queued(piece(2));
    const released = mesh.queued({ ...piece(3), release: true });
    const sentMs = mesh.clock.monotonic();
    await mesh.run(Promise.all([waiting, released]));
    assert.ok(mesh.clock.monotonic() - sentMs < 20, 'a release does not wait, and takes along what does');
    await mesh.run(
      mesh.queued({ ...piece(4), offsets: [], marks: [{ queue: { topic: 't', broker: 'b', queue: 1 }, offset: 9n, inherited: false }] }),
    );
    assert.ok(mesh.clock.monotonic() - sentMs < 40, 'nor do marks, before which no record is sent');
  });

  it('one fenced task costs the others of its transaction nothing', async () => {
    const { generation, tokens } = await mesh.running('c', 3);
    // The fence of task 1 changes between its read and the write.
    let armed = true;
    mesh.store.faults = ({ txn }) => {
      if (!armed || txn?.then.some((operation) => operation.op === 'put') !== true) return undefined;
      armed = false;
      mesh.store.txn({ compare: [], then: [{ op: 'delete', key: mesh.keys.taskOwner('c', generation, 1) }] });
      return undefined;
    };
    const pieces = tokens.map((token, task) => ({ generation, token, task, offsets: [sourceOffset(`/${task}`, 1)] }));
    assert.deepEqual(await results(...pieces), [OK, FENCED, OK]);
    assert.equal(mesh.storedOffsets('c').length, 2);
  });

  it('answers the pieces of one task in the order in which they came', async () => {
    const { generation, tokens } = await mesh.running('c');
    const token = tokens[0] ?? 0n;
    const answers = await mesh.commit(
      ...[1n, 2n, 3n, 2n].map((sequence) => ({ generation, token, sequence, offsets: [sourceOffset('/a', Number(sequence))] })),
    );
    assert.deepEqual(
      answers.map(({ sequence, result }) => [sequence, result]),
      [
        [1n, OK],
        [2n, OK],
        [3n, OK],
        [2n, STALE],
      ],
    );
    assert.equal(mesh.storedOffsets('c')[0]?.offsetJson, '{"position":3}');
  });

  it('two tasks that name the same partition in one window are stored one after the other', async () => {
    const { generation, tokens } = await mesh.running('c', 2);
    const pieces = tokens.map((token, task) => ({ generation, token, task, offsets: [sourceOffset('/same', task)] }));
    assert.deepEqual(await results(...pieces), [OK, OK]);
    assert.equal(mesh.storedOffsets('c')[0]?.offsetJson, '{"position":1}');
  });

  it('of unknown outcome: OK if it is seen to be stored, else RETRY; the repeat is stored once', async () => {
    const { generation, tokens } = await mesh.running('c');
    const piece = { generation, token: tokens[0] ?? 0n, offsets: [sourceOffset('/a', 1)] };
    const failWrites = (outcome: 'unknownApplied' | 'unknownNotApplied' | 'unknownAppliedLater' | 'unavailable'): void => {
      mesh.store.faults = ({ txn }) => {
        if (txn?.then.some((operation) => operation.op === 'put') !== true) return undefined;
        mesh.store.faults = undefined;
        return { outcome, laterMs: 50 };
      };
    };
    failWrites('unknownNotApplied');
    assert.deepEqual(await results({ ...piece, sequence: 1n }), [RETRY]);
    assert.deepEqual(await results({ ...piece, sequence: 1n }), [OK]);
    failWrites('unknownApplied');
    assert.deepEqual(await results({ ...piece, sequence: 2n }), [OK]);
    failWrites('unavailable');
    assert.deepEqual(await results({ ...piece, sequence: 3n }), [RETRY]);
    failWrites('unknownAppliedLater');
    assert.deepEqual(await results({ ...piece, sequence: 4n, offsets: [sourceOffset('/a', 4)] }), [RETRY]);
    assert.deepEqual(await results({ ...piece, sequence: 4n, offsets: [sourceOffset('/a', 4)] }), [OK]);
    assert.deepEqual(await results({ ...piece, sequence: 5n, offsets: [sourceOffset('/a', 5)] }), [OK]);
    // The delayed write of 4 lands now and must not cover 5.
    await mesh.clock.advance(100);
    assert.equal(mesh.storedOffsets('c')[0]?.offsetJson, '{"position":5}');
    assert.equal(fence()?.sequence, 5n);
  });

  it('refuses what can never be stored, saying why, and goes on with the other tasks', async () => {
    const { generation, tokens } = await mesh.running('c', 2);
    const token = tokens[0] ?? 0n;
    const bad = [
      { sinkStates: { a: 'x'.repeat(64 * 1024 + 1) } },
      { offsets: Array.from({ length: 51 }, (_, i) => sinkOffset(i, 1)) },
      { offsets: [{ ...sourceOffset('/a', 1), partitionJson: 'no json' }] },
      { offsets: [sourceOffset('x'.repeat(1_000_000), 1)] },
      { sequence: 0n },
    ];
    const answers = await mesh.commit(...bad.map((piece) => ({ generation, token, ...piece })), {
      generation,
      task: 1,
      token: tokens[1] ?? 0n,
    });
    const refused = answers.filter(({ task }) => task === 0);
    assert.deepEqual(
      refused.map(({ result }) => result),
      bad.map(() => REFUSED),
    );
    for (const { message } of refused) assert.notEqual(message, '');
    assert.equal(answers.find(({ task }) => task === 1)?.result, OK);
  });

  it('a piece of 50 large offsets with a release fits, alone if need be', async () => {
    const { generation, tokens } = await mesh.running('c', 4);
    const pieces = tokens.map((token, task) => ({
      generation,
      token,
      task,
      offsets: Array.from({ length: 50 }, (_, i) => sourceOffset(`/${task}/${i}/${'x'.repeat(8_000)}`, i)),
      release: true,
    }));
    assert.deepEqual(
      await results(...pieces),
      tokens.map(() => OK),
    );
    assert.equal(mesh.storedOffsets('c').length, 200);
  });

  it('S086: whatever arrives, twice, out of order or late, offsets follow the order of the accepted sequences', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ sequence: fc.integer({ min: 1, max: 8 }), fault: fc.nat(9) }), { maxLength: 25 }),
        async (sends) => {
          const world = await configMesh();
          const { generation, tokens } = await world.running('c');
          let highest = 0n;
          const faults = ['unknownApplied', 'unknownNotApplied', 'unknownAppliedLater', 'unavailable'] as const;
          let fault: (typeof faults)[number] | undefined;
          world.store.faults = ({ client, txn }) => {
            if (client !== 'config' || fault === undefined || txn?.then.some((operation) => operation.op === 'put') !== true)
              return undefined;
            return { outcome: fault, laterMs: 30 };
          };
          world.store.observe((events) => {
            for (const event of events) {
              if (event.type !== 'put' || event.kv.key !== world.keys.commit('c', 0)) continue;
              const { sequence } = StoredCommit.fromJSON(JSON.parse(event.kv.value));
              assert.ok(sequence > highest, `sequence ${sequence} after ${highest}`);
              highest = sequence;
            }
          });
          for (const send of sends) {
            fault = faults[send.fault];
            const request = {
              generation,
              token: tokens[0] ?? 0n,
              sequence: BigInt(send.sequence),
              offsets: [sourceOffset('/a', send.sequence)],
            };
            const [answer] = await world.commit(commitRequest(request));
            if (answer?.result === OK) assert.ok(BigInt(send.sequence) <= highest);
            if (answer?.result === STALE) assert.ok(BigInt(send.sequence) < highest);
            await world.clock.advance(send.fault % 2 === 0 ? 20 : 1);
          }
          fault = undefined;
          await world.clock.advance(100);
          if (highest > 0n) assert.equal(world.storedOffsets('c')[0]?.offsetJson, `{"position":${highest}}`);
          await world.close();
        },
      ),
      { numRuns: 60 },
    );
  });
});
