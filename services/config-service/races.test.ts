import assert from 'node:assert/strict';
import { generationOf } from '@rocketmq-connect/cluster';
import type { Operation } from '@rocketmq-connect/metadata-store';
import { CommitResult } from '@rocketmq-connect/proto/commit';
import { TargetState } from '@rocketmq-connect/proto/common';
import { StoredAlter, StoredCommit, StoredDeleted, StoredOwner, StoredSpec } from '@rocketmq-connect/proto/storage';
import { type ConfigMesh, configMesh, fileConfig, sourceOffset } from '../../test/support/config-mesh.ts';

/** Each row of the transaction table: what another did between the read and the write is seen, never overwritten. */
describe('races between a read and its write', () => {
  let mesh: ConfigMesh;
  beforeEach(async () => {
    mesh = await configMesh();
  });
  afterEach(() => mesh.close());

  const owner = JSON.stringify(StoredOwner.toJSON({ runner: 'r2', session: 's' }));
  const create = () => mesh.connectors.create({ name: 'c', config: fileConfig, initialState: TargetState.UNSPECIFIED });
  const put = (key: string, value: string): Operation => ({ op: 'put', key, value });
  /** Once, right before config-service writes below `kind`: another does this. */
  const meanwhile = (kind: string, ...operations: Operation[]): void => {
    mesh.store.faults = ({ client, txn }) => {
      const writes = txn?.then.some(
        (operation) => (operation.op === 'put' || operation.op === 'delete') && operation.key.includes(`/${kind}/`),
      );
      if (client !== 'config' || writes !== true) return undefined;
      mesh.store.faults = undefined;
      mesh.store.txn({ compare: [], then: operations });
      return undefined;
    };
  };
  const task = (part: string) => ({ config: { part }, queues: [] });

  it('publish: another runner became the planner', async () => {
    await mesh.create('c');
    const token = await mesh.own('c');
    const key = mesh.keys.connectorOwner('c');
    meanwhile('tasksets', { op: 'delete', key });
    assert.equal((await mesh.failure(mesh.publish('c', token, [task('0')]))).code, 'FENCED');
    assert.equal(mesh.taskSet('c'), null);
  });

  it('publish: its chunks were swept', async () => {
    await mesh.create('c');
    const token = await mesh.own('c');
    meanwhile('tasksets', { op: 'deleteRange', range: mesh.keys.taskConfigs('c') });
    await mesh.run(mesh.publish('c', token, [task('0')]));
    assert.equal((await mesh.run(mesh.connectors.listTasks({ name: 'c' }))).tasks.length, 1);
  });

  it('publish: the same set was published by its own repeat', async () => {
    const { token, generation } = await mesh.running('c');
    const pointer = mesh.store.peek(mesh.keys.taskSets)[0]?.value ?? '';
    const key = mesh.keys.taskSet('c');
    await mesh.run(mesh.publish('c', token, [task('other')]));
    meanwhile('tasksets', put(key, pointer));
    const again = await mesh.run(mesh.publish('c', token, [task('0')]));
    assert.equal(again.changed, false);
    assert.equal(again.generation, generationOf(mesh.store.peek(mesh.keys.taskSets)[0]?.modRevision ?? 0n));
    assert.ok(again.generation > generation);
  });

  it('publish: a chunk that comes after the connector was deleted is not stored', async () => {
    await mesh.create('c');
    const token = await mesh.own('c');
    meanwhile('taskconfigs', { op: 'delete', key: mesh.keys.spec('c') });
    assert.equal((await mesh.failure(mesh.publish('c', token, [task('0')]))).kind, 'notFound');
    assert.deepEqual(mesh.store.peek(mesh.keys.taskConfigs('c')), []);
  });

  it('create: another created it, deleted one of that name, or an owner is there', async () => {
    const spec = { ...StoredSpec.create(), name: 'c' };
    meanwhile('specs', put(mesh.keys.spec('c'), JSON.stringify(StoredSpec.toJSON(spec))));
    assert.equal((await mesh.failure(create())).code, 'ALREADY_EXISTS');
    await mesh.hand.txn({ compare: [], then: [{ op: 'delete', key: mesh.keys.spec('c') }] });

    meanwhile('specs', put(mesh.keys.deleted('c'), JSON.stringify(StoredDeleted.toJSON({ keepOffsets: false, plugin: '' }))));
    await mesh.run(create());
    assert.deepEqual(mesh.store.peek(mesh.keys.deletions), []);
    await mesh.hand.txn({ compare: [], then: [{ op: 'deleteRange', range: mesh.keys.specs }] });

    for (const key of [mesh.keys.connectorOwner('c'), mesh.keys.taskOwner('c', '1', 0)]) {
      meanwhile('specs', put(key, owner));
      assert.equal((await mesh.failure(create())).kind, 'unavailable');
      assert.equal(mesh.spec('c'), null);
      await mesh.disown();
    }
  });

  it('resume: a change of offsets began', async () => {
    await mesh.create('c', fileConfig, TargetState.STOPPED);
    meanwhile('specs', put(mesh.keys.alter('c'), JSON.stringify(StoredAlter.toJSON({ who: 'x', writing: false }))));
    const resuming = mesh.connectors.setTargetState({ name: 'c', targetState: TargetState.RUNNING });
    assert.equal((await mesh.failure(resuming)).code, 'OFFSETS_CHANGING');
    assert.equal(mesh.spec('c')?.targetState, TargetState.STOPPED);
  });

  it('offsets, begin: a task was claimed, the connector instance was, or it was resumed', async () => {
    await mesh.create('c', fileConfig, TargetState.STOPPED);
    for (const key of [mesh.keys.connectorOwner('c'), mesh.keys.taskOwner('c', '1', 0)]) {
      meanwhile('alters', put(key, owner));
      assert.equal((await mesh.failure(mesh.offsets.reset({ connector: 'c' }))).code, 'TASKS_STILL_OWNED');
      await mesh.disown();
    }
    const running = { ...(mesh.spec('c') ?? StoredSpec.create()), targetState: TargetState.RUNNING };
    meanwhile('alters', put(mesh.keys.spec('c'), JSON.stringify(StoredSpec.toJSON(running))));
    assert.equal((await mesh.failure(mesh.offsets.reset({ connector: 'c' }))).code, 'CONNECTOR_NOT_STOPPED');
    assert.deepEqual(mesh.store.peek(mesh.keys.alters), []);
  });

  it('offsets, end: another took it over, so nothing is written', async () => {
    await mesh.create('c', fileConfig, TargetState.STOPPED);
    meanwhile('specs', put(mesh.keys.alter('c'), JSON.stringify(StoredAlter.toJSON({ who: 'other', writing: false }))));
    const alter = mesh.offsets.alter({ connector: 'c', offsets: [{ partitionJson: '{"f":1}', offsetJson: '{"p":1}' }] });
    assert.equal((await mesh.failure(alter)).code, 'OFFSETS_CHANGED_BY_OTHERS');
    assert.deepEqual(mesh.storedOffsets('c'), []);
    assert.equal(mesh.store.peek(mesh.keys.alters).length, 1);
  });

  it('sweep: the connector is there again, or one of its tasks still runs', async () => {
    const mark = JSON.stringify(StoredDeleted.toJSON({ keepOffsets: false, plugin: '' }));
    const key = mesh.keys.offset('c', 'x');
    const others = [mesh.keys.spec('c'), mesh.keys.connectorOwner('c'), mesh.keys.taskOwner('c', '1', 0)];
    for (const other of others) {
      await mesh.put(key, '{}');
      await mesh.put(mesh.keys.deleted('c'), mark);
      await mesh.put(other, '{}');
      await mesh.service.start();
      await mesh.clock.advance(30_000);
      assert.equal(mesh.store.peek(mesh.keys.offsets('c')).length, 1, other);
      await mesh.hand.txn({ compare: [], then: [{ op: 'delete', key: other }] });
      await mesh.clock.advance(30_000);
      assert.equal(mesh.store.peek(mesh.keys.offsets('c')).length, 0, other);
    }
  });

  it('commit: a fence of a later token stands, whatever the owner key says', async () => {
    const { generation, tokens } = await mesh.running('c');
    const token = tokens[0] ?? 0n;
    const fence = { ...StoredCommit.create(), token: token + 1_000n, sequence: 1n };
    await mesh.put(mesh.keys.commit('c', 0), JSON.stringify(StoredCommit.toJSON(fence)));
    const [answer] = await mesh.commit({ generation, token, offsets: [sourceOffset('/a', 1)] });
    assert.equal(answer?.result, CommitResult.FENCED);
  });

  it('commit: a small piece does not overtake a large one of the same task', async () => {
    const { generation, tokens } = await mesh.running('c', 2);
    const offsets = (name: string, count: number) => Array.from({ length: count }, (_, i) => sourceOffset(`/${name}/${i}`, i));
    const answers = await mesh.commit(
      {
        generation,
        task: 1,
        token: tokens[1] ?? 0n,
        offsets: offsets('a', 50),
        sinkStates: Object.fromEntries(offsets('s', 20).map((_, i) => [`${i}`, '{}'])),
      },
      { generation, task: 0, token: tokens[0] ?? 0n, sequence: 1n, offsets: offsets('b', 50) },
      { generation, task: 0, token: tokens[0] ?? 0n, sequence: 2n, offsets: offsets('c', 1) },
    );
    assert.deepEqual(
      answers.map(({ result }) => result),
      [CommitResult.OK, CommitResult.OK, CommitResult.OK],
    );
    assert.equal(mesh.storedOffsets('c').length, 101);
  });
});
