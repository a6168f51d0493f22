import assert from 'node:assert/strict';
import { TargetState } from '@rocketmq-connect/proto/common';
import { StoredOffset, StoredRunner, StoredSpec, StoredTarget } from '@rocketmq-connect/proto/storage';
import { FatalError } from '@rocketmq-connect/sdk';
import fc from 'fast-check';
import { decodeStored, encodeStored, type StoredType } from './codec.ts';

function update<T>(type: StoredType<T>, stored: object, change: (message: T) => void): unknown {
  const value = JSON.stringify(stored);
  const message = decodeStored(type, { key: '/k', value });
  change(message);
  return JSON.parse(encodeStored(type, message, value));
}

describe('the codec of stored values', () => {
  const spec = {
    name: 'orders',
    config: { topic: 'a', 'tasks.max': '2' },
    configRevision: '7',
    targetState: 'TARGET_STATE_RUNNING',
    priority: { level: 'high' },
    owners: ['of the future'],
  };

  it('keeps fields of the future when a known field changes', () => {
    const updated = update(StoredSpec, spec, (message) => {
      message.configRevision = 8n;
    });
    assert.deepEqual(updated, { ...spec, configRevision: '8' });
  });

  it('drops a known field that went back to its default, and an entry that left a map', () => {
    const updated = update(StoredSpec, spec, (message) => {
      message.configRevision = 0n;
      message.targetState = TargetState.UNSPECIFIED;
      delete message.config['tasks.max'];
    });
    assert.deepEqual(updated, { name: 'orders', config: { topic: 'a' }, priority: spec.priority, owners: spec.owners });
  });

  it('empties a map', () => {
    const updated = update(StoredTarget, { units: { 'connectors/a': '' }, mode: 'x' }, (message) => {
      message.units = {};
    });
    assert.deepEqual(updated, { mode: 'x' });
  });

  it('keeps fields of the future in nested messages', () => {
    const stored = { queue: { topic: 't', broker: 'b', queue: 1, shard: 5 }, position: '10' };
    const updated = update(StoredOffset, stored, (message) => {
      message.position = 11n;
      if (message.queue) message.queue.broker = 'c';
    });
    assert.deepEqual(updated, { queue: { topic: 't', broker: 'c', queue: 1, shard: 5 }, position: '11' });
  });

  it('keeps them in repeated messages that stay, wherever those move; a changed element is a new one', () => {
    const stored = {
      id: 'r',
      plugins: [
        { name: 'a', sha: '1' },
        { name: 'b', sha: '2' },
        { name: 'c', sha: '3' },
      ],
    };
    const updated = update(StoredRunner, stored, (message) => {
      const [a, b, c] = message.plugins;
      if (a && b && c) message.plugins = [c, { ...b, version: '9' }, a];
    });
    assert.deepEqual(updated, {
      id: 'r',
      plugins: [
        { name: 'c', sha: '3' },
        { name: 'b', version: '9' },
        { name: 'a', sha: '1' },
      ],
    });
  });

  it('gives each of several like elements its own', () => {
    const stored = {
      id: 'r',
      plugins: [
        { name: 'a', sha: '1' },
        { name: 'a', sha: '2' },
      ],
    };
    const updated = update(StoredRunner, stored, (message) => {
      message.zone = 'z';
    });
    assert.deepEqual(updated, { ...stored, zone: 'z' });
  });

  it('replaces a field that someone wrote with its name of the .proto file', () => {
    const updated = update(StoredSpec, { config_revision: '3', future_field: 1 }, (message) => {
      assert.equal(message.configRevision, 3n);
      message.configRevision = 0n;
    });
    assert.deepEqual(updated, { future_field: 1 });
  });

  it('writes 64-bit integers and odd names exactly', () => {
    // The generated code itself cannot hold this one name.
    const names = fc.string().filter((name) => name !== '__proto__');
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.dictionary(names, fc.string()), (revision, config) => {
        const message = StoredSpec.create({ configRevision: revision, config, taskRestarts: { 3: revision } });
        const value = encodeStored(StoredSpec, message, JSON.stringify({ future: true }));
        assert.deepEqual(decodeStored(StoredSpec, { key: '/k', value }), message);
        assert.equal(JSON.parse(value).future, true);
      }),
      { numRuns: 50 },
    );
  });

  it('reads a value of an enum of the future as UNRECOGNIZED, and keeps it until it sets another', () => {
    const future = { ...spec, targetState: 'TARGET_STATE_OF_THE_FUTURE' };
    const updated = update(StoredSpec, future, (message) => {
      assert.equal(message.targetState, TargetState.UNRECOGNIZED);
      message.configRevision = 8n;
    });
    assert.deepEqual(updated, { ...future, configRevision: '8' });
    const set = update(StoredSpec, future, (message) => {
      message.targetState = TargetState.PAUSED;
    });
    assert.deepEqual(set, { ...future, targetState: 'TARGET_STATE_PAUSED' });
    const runner = { id: 'r', plugins: [{ name: 'a', kind: 'PLUGIN_KIND_OF_THE_FUTURE' }, { name: 'b' }] };
    const left = update(StoredRunner, runner, (message) => {
      message.plugins = message.plugins.slice(0, 1);
    });
    assert.deepEqual(left, { ...runner, plugins: runner.plugins.slice(0, 1) });
  });

  it('names the key of a value that cannot be read', () => {
    for (const value of ['', '{', 'null', '[]', '"text"', '{"configRevision":"x"}']) {
      assert.throws(
        () => decodeStored(StoredSpec, { key: '/specs/orders', value }),
        (error: unknown) => error instanceof FatalError && error.code === 'STORED_VALUE_CORRUPT' && error.message.includes('/specs/orders'),
      );
    }
  });
});
