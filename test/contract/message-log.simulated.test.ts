import { SimulatedLog } from '@rocketmq-connect/message-log/simulated';
import { VirtualClock } from '../support/virtual-clock.ts';
import { messageLogContract } from './message-log.ts';

messageLogContract('simulated', async () => {
  const clock = new VirtualClock();
  const log = new SimulatedLog(clock);
  return {
    connect: () => log.connect(),
    now: () => clock.now(),
    wait: (ms) => clock.advance(ms),
    close: async () => {},
  };
});
