import assert from 'node:assert/strict';
import { clusterKeys } from '@rocketmq-connect/cluster';
import { loadSettings } from '@rocketmq-connect/configuration';
import { SimulatedStore } from '@rocketmq-connect/metadata-store/simulated';
import { quietLogger } from '../../test/support/quiet-logger.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import type { ProcessService } from './main.ts';
import { Peers } from './peers.ts';

const WATCH_DELAY_MS = 700;
const own = '127.0.0.1:9083';
const configService: ProcessService = {
  name: 'config-service',
  registersAs: 'config',
  implementations: [],
  start: async () => undefined,
  stop: async () => undefined,
};

describe('how a process finds others', () => {
  it('is registered when it finds itself too: what it is asked then is served', async () => {
    const clock = new VirtualClock();
    const store = new SimulatedStore(clock).client('process');
    store.watchDelayMs = WATCH_DELAY_MS;
    const { settings } = loadSettings({ flags: { etcd: '127.0.0.1:2379' }, env: {}, cwd: import.meta.dirname });
    const openStore = async () => store;
    const peers = new Peers({ openStore, keys: clusterKeys('test'), clock, log: quietLogger, own: () => own, settings });
    const endpoints = await clock.resolve(peers.endpointsOf('config'));
    const registrations = await clock.resolve(peers.register([configService], { id: 'one', version: '1', address: () => own }));
    assert.deepEqual(endpoints(), [own]);
    await registrations.get(configService)?.stop();
    peers.close();
  });
});
