import assert from 'node:assert/strict';
import { TargetState } from '@rocketmq-connect/proto/common';
import { type ConfigMesh, configMesh } from '../../test/support/config-mesh.ts';

const task = (part: string) => ({ config: { part }, queues: [] });

describe('publishing a task set', () => {
  let mesh: ConfigMesh;
  beforeEach(async () => {
    mesh = await configMesh();
  });
  afterEach(() => mesh.close());

  const chunks = (): string[] => mesh.store.peek(mesh.keys.taskConfigs('c')).map(({ key }) => key);

  it('makes it visible under a generation that is the revision of its pointer', async () => {
    await mesh.create('c');
    const token = await mesh.own('c');
    const { generation, changed } = await mesh.run(mesh.publish('c', token, [task('0'), task('1')]));
    assert.equal(changed, true);
    assert.equal(BigInt(`0x${generation}`), mesh.store.peek(mesh.keys.taskSets)[0]?.modRevision);
    const { tasks } = await mesh.connectors.listTasks({ name: 'c' });
    assert.deepEqual(
      tasks.map(({ id, config }) => [id?.task, config['part'], config['topic']]),
      [
        [0, '0', 't'],
        [1, '1', 't'],
      ],
    );
    assert.deepEqual((await mesh.connectors.get({ name: 'c' })).connector?.tasks, [0, 1]);
  });

  it('leaves an equal one and its generation as they are', async () => {
    const { token, generation } = await mesh.running('c');
    const revision = mesh.store.revision;
    const again = await mesh.run(mesh.publish('c', token, [task('0')]));
    assert.deepEqual(again, { generation, changed: false });
    assert.equal(mesh.store.revision, revision);
  });

  it('takes no change of where tasks run, or of when they restart, for another task set', async () => {
    const { token, generation } = await mesh.running('c');
    await mesh.connectors.patch({
      name: 'c',
      set: { 'placement.labels': 'disk=ssd', 'errors.restart': 'all', 'errors.restart.max': '3' },
      remove: [],
      expectedConfigRevision: 0n,
    });
    const again = await mesh.run(mesh.publish('c', token, [task('0')]));
    assert.deepEqual(again, { generation, changed: false });
  });

  it('S090: a set of several chunks is visible as a whole or not at all, and its pointer comes last', async () => {
    await mesh.create('c');
    const token = await mesh.own('c');
    const large = Array.from({ length: 12 }, (_, i) => ({ config: { part: String(i), text: 'x'.repeat(200_000) }, queues: [] }));
    let visible = 0;
    mesh.store.observe(() => {
      const pointer = mesh.taskSet('c');
      if (pointer === null) return;
      visible++;
      assert.equal(chunks().length, pointer.chunks);
    });
    await mesh.run(mesh.publish('c', token, large));
    assert.equal(mesh.taskSet('c')?.chunks, 6);
    assert.equal(visible, 1);
    assert.equal((await mesh.connectors.listTasks({ name: 'c' })).tasks.length, 12);
  });

  it('is refused from a planner that does not own the connector any more', async () => {
    const { token } = await mesh.running('c');
    await mesh.disown();
    assert.equal((await mesh.failure(mesh.publish('c', token, [task('x')]))).code, 'FENCED');
    await mesh.own('c');
    assert.equal((await mesh.failure(mesh.publish('c', token, [task('x')]))).code, 'FENCED');
  });

  it('is refused when planned from another configuration, for a STOPPED connector and for none', async () => {
    await mesh.create('c');
    const token = await mesh.own('c');
    assert.equal((await mesh.failure(mesh.publish('c', token, [], 1n))).code, 'PLAN_OUTDATED');
    await mesh.stop('c');
    assert.equal((await mesh.failure(mesh.publish('c', token, []))).code, 'CONNECTOR_STOPPED');
    assert.equal((await mesh.failure(mesh.publish('nope', token, []))).kind, 'notFound');
  });

  it('a change of the configuration while chunks are written refuses the plan; a restart does not', async () => {
    await mesh.create('c');
    const token = await mesh.own('c');
    let change = (): void => {};
    mesh.store.faults = ({ txn }) => {
      if (txn?.then.some((operation) => operation.op === 'put' && operation.key.includes('/taskconfigs/')) === true) change();
      return undefined;
    };
    const spec = mesh.store.peek(mesh.keys.specs)[0];
    const rewrite = (value: object): void => {
      change = () => {};
      const put = { op: 'put' as const, key: mesh.keys.spec('c'), value: JSON.stringify({ ...JSON.parse(spec?.value ?? '{}'), ...value }) };
      mesh.store.txn({ compare: [], then: [put] });
    };
    change = () => rewrite({ connectorRestarts: '1' });
    assert.equal((await mesh.run(mesh.publish('c', token, [task('0')]))).changed, true);
    change = () => rewrite({ configRevision: '99' });
    assert.equal((await mesh.failure(mesh.publish('c', token, [task('1')]))).code, 'PLAN_OUTDATED');
    assert.equal(mesh.taskSet('c')?.tasks, 1);
  });

  it('chunks written, pointer not: orphans are swept once a pointer stands, and never those of a publish under way', async () => {
    await mesh.create('c');
    const token = await mesh.own('c');
    mesh.store.faults = ({ txn }) =>
      txn?.then.some((operation) => operation.op === 'put' && operation.key.includes('/tasksets/')) === true
        ? { outcome: 'unavailable' }
        : undefined;
    await mesh.failure(mesh.publish('c', token, [task('0')]));
    mesh.store.faults = undefined;
    const [orphan] = chunks();
    assert.notEqual(orphan, undefined);
    await mesh.service.start();
    await mesh.clock.advance(30_000);
    assert.deepEqual(chunks(), [orphan]);
    await mesh.run(mesh.publish('c', token, [task('0')]));
    await mesh.put(mesh.keys.taskConfig('c', 'ffff', 0), '{}');
    await mesh.clock.advance(30_000);
    assert.equal(chunks().includes(orphan ?? ''), false);
    assert.equal(chunks().length, 2);
  });

  it('chunks of a replaced set stay while a task of an older generation runs', async () => {
    const { token } = await mesh.running('c');
    const [old] = chunks();
    await mesh.run(mesh.publish('c', token, [task('new')]));
    await mesh.service.start();
    await mesh.clock.advance(30_000);
    assert.equal(chunks().includes(old ?? ''), true);
    await mesh.disown();
    await mesh.clock.advance(30_000);
    assert.equal(chunks().includes(old ?? ''), false);
  });

  it('pointer of unknown outcome is read back', async () => {
    await mesh.create('c');
    const token = await mesh.own('c');
    for (const outcome of ['unknownApplied', 'unknownNotApplied', 'unknownAppliedLater'] as const) {
      mesh.store.faults = ({ txn }) => {
        if (txn?.then.some((operation) => operation.op === 'put' && operation.key.includes('/tasksets/')) !== true) return undefined;
        mesh.store.faults = undefined;
        return { outcome, laterMs: 2 };
      };
      const { generation, changed } = await mesh.run(mesh.publish('c', token, [task(outcome)]));
      assert.equal(BigInt(`0x${generation}`), mesh.store.peek(mesh.keys.taskSets)[0]?.modRevision);
      await mesh.clock.advance(100);
      assert.equal(BigInt(`0x${generation}`), mesh.store.peek(mesh.keys.taskSets)[0]?.modRevision, `${outcome} ${changed}`);
      assert.equal((await mesh.connectors.listTasks({ name: 'c' })).tasks[0]?.config['part'], outcome);
    }
  });

  it('refuses a task that no chunk can hold', async () => {
    await mesh.create('c', undefined, TargetState.RUNNING);
    const token = await mesh.own('c');
    const huge = { config: { text: 'x'.repeat(600_000) }, queues: [] };
    assert.equal((await mesh.failure(mesh.publish('c', token, [huge]))).code, 'TASK_SET_TOO_LARGE');
  });
});
