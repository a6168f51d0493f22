import { inNamespace } from '@rocketmq-connect/message-log/namespace';
import { SimulatedLog } from '@rocketmq-connect/message-log/simulated';
import { INVISIBLE_MS } from '@rocketmq-connect/message-log/simulated-group';
import { VirtualClock } from '../support/virtual-clock.ts';
import { messageLogContract } from './message-log.ts';

for (const [name, positions, namespace] of [
  ['simulated', true, ''],
  ['simulated, without positions', false, ''],
  ['simulated, in a namespace', true, 'NS'],
] as const) {
  messageLogContract(
    name,
    { assign: positions, subscribe: true, createTopic: true, delay: true, processes: false, dottedTopics: true },
    async () => {
      const clock = new VirtualClock();
      const log = new SimulatedLog(clock);
      return {
        connect: () => inNamespace(log.connect('client', { positions }), namespace),
        now: () => clock.now(),
        wait: (ms) => clock.advance(ms),
        passing: (promise) => clock.resolve(promise),
        invisibleMs: INVISIBLE_MS,
        close: async () => {},
      };
    },
  );
}
