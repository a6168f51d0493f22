import assert from 'node:assert/strict';
import type { WatchResponse } from '@rocketmq-connect/proto/connector';
import { type ConfigMesh, configMesh, fileConfig } from '../../test/support/config-mesh.ts';

describe('watching connectors', () => {
  let mesh: ConfigMesh;
  beforeEach(async () => {
    mesh = await configMesh();
  });
  afterEach(() => mesh.close());

  const follow = (seen: string[], signal: AbortSignal): Promise<void> =>
    (async () => {
      for await (const change of mesh.connectors.watch({}, { signal })) seen.push(describeChange(change));
    })().catch(() => undefined);

  it('lists what is there, says synced, then tells each change and deletion', async () => {
    await mesh.create('a');
    const abort = new AbortController();
    const seen: string[] = [];
    const watching = follow(seen, abort.signal);
    await mesh.clock.settle();
    assert.deepEqual(seen, ['a of 0', 'synced']);
    await mesh.running('b', 2);
    await mesh.run(mesh.connectors.patch({ name: 'a', set: { x: '1' }, remove: [], expectedConfigRevision: 0n }));
    await mesh.run(mesh.connectors.delete({ name: 'a', resetOffsets: true }));
    await mesh.clock.settle();
    assert.deepEqual(seen.slice(2), ['b of 0', 'b of 2', 'a of 0', 'a gone']);
    abort.abort(new Error('enough'));
    await mesh.run(watching);
  });

  it('goes on after its store connection broke, with what changed meanwhile', async () => {
    await mesh.create('a');
    const abort = new AbortController();
    const seen: string[] = [];
    const watching = follow(seen, abort.signal);
    await mesh.clock.settle();
    mesh.client.deafenWatches();
    await mesh.create('b', { ...fileConfig, topic: 'u' });
    await mesh.clock.advance(31_000);
    assert.deepEqual(seen, ['a of 0', 'synced', 'b of 0']);
    abort.abort(new Error('enough'));
    await mesh.run(watching);
  });

  it('ends when the service stops', async () => {
    const seen: string[] = [];
    const watching = follow(seen, new AbortController().signal);
    await mesh.clock.settle();
    await mesh.close();
    await mesh.run(watching);
    assert.deepEqual(seen, ['synced']);
  });
});

function describeChange({ connector, deleted, synced }: WatchResponse): string {
  if (synced) return 'synced';
  return connector === undefined ? `${deleted} gone` : `${connector.name} of ${connector.tasks.length}`;
}
