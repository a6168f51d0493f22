import assert from 'node:assert/strict';
import { StoredRunner } from '@rocketmq-connect/proto/storage';
import { type ConfigMesh, commitRequest, configMesh } from '../../test/support/config-mesh.ts';

describe('config-service that is asked to stop', () => {
  let mesh: ConfigMesh;
  beforeEach(async () => {
    mesh = await configMesh();
  });
  afterEach(() => mesh.close());

  const register = (leaving: boolean): Promise<bigint> =>
    mesh.put(mesh.keys.runner('r1'), JSON.stringify(StoredRunner.toJSON({ ...StoredRunner.create(), id: 'r1', leaving })));
  const draining = () => {
    let over = false;
    const drained = mesh.service.drain().then(() => {
      over = true;
    });
    return { drained, isOver: () => over };
  };

  it('serves on for runners that are told to stop at the same time, until they are gone', async () => {
    const { drained, isOver } = draining();
    await mesh.clock.advance(1_000);
    await register(true);
    await mesh.clock.advance(8_000);
    assert.equal(isOver(), false);
    await mesh.hand.txn({ compare: [], then: [{ op: 'delete', key: mesh.keys.runner('r1') }] });
    await mesh.clock.advance(500);
    assert.equal(isOver(), true);
    await drained;
  });

  it('does not wait long for runners that stay, nor for ever for one that hangs', async () => {
    await register(false);
    const staying = draining();
    await mesh.clock.advance(3_000);
    assert.equal(staying.isOver(), true);
    await register(true);
    const hanging = draining();
    await mesh.clock.advance(16_000);
    assert.equal(hanging.isOver(), true);
  });

  it('waits for nobody while the store does not answer', async () => {
    mesh.client.partition();
    await mesh.run(mesh.service.drain());
    mesh.client.heal();
  });

  it('answers the commits that have arrived and ends their streams, so that runners turn to another', async () => {
    const { generation, tokens } = await mesh.running('c');
    const request = commitRequest({ generation, token: tokens[0] ?? 0n });
    let send: (value: typeof request) => void = () => undefined;
    const sent = new Promise<typeof request>((resolve) => {
      send = resolve;
    });
    async function* requests() {
      yield await sent;
      // A runner keeps its stream open.
      await new Promise(() => undefined);
    }
    const results: string[] = [];
    const stream = (async () => {
      for await (const { result } of mesh.commits.commit(requests())) results.push(result);
    })();
    send(request);
    await mesh.clock.advance(1);
    await mesh.run(mesh.service.stop());
    await mesh.run(stream);
    assert.deepEqual(results, ['COMMIT_RESULT_OK']);
  });
});
