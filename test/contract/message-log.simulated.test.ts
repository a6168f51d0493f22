import { SimulatedLog } from '@rocketmq-connect/message-log/simulated';
import { INVISIBLE_MS } from '@rocketmq-connect/message-log/simulated-group';
import { VirtualClock } from '../support/virtual-clock.ts';
import { messageLogContract } from './message-log.ts';

for (const positions of [true, false]) {
  const name = positions ? 'simulated' : 'simulated, without positions';
  messageLogContract(name, { assign: positions, subscribe: true, createTopic: true, delay: true }, async () => {
    const clock = new VirtualClock();
    const log = new SimulatedLog(clock);
    return {
      connect: () => log.connect('client', { positions }),
      now: () => clock.now(),
      wait: (ms) => clock.advance(ms),
      passing: (promise) => clock.resolve(promise),
      invisibleMs: INVISIBLE_MS,
      close: async () => {},
    };
  });
}
