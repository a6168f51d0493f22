import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageLog } from '@rocketmq-connect/message-log';
import { connectRemotingLog } from '@rocketmq-connect/message-log/remoting/client';
import { rocketmq, useRocketmq } from '../support/rocketmq.ts';
import { messageLogContract } from './message-log.ts';

let clients = 0;

function connect(...nameServers: string[]): MessageLog {
  const connection = { kind: 'remoting', nameServers, clientId: `contract-${process.pid}-${clients++}` } as const;
  return connectRemotingLog(connection, { clock: systemClock, random: Math.random });
}

describe('A real RocketMQ', () => {
  before(async function () {
    await useRocketmq(this);
  });

  for (const [name, topicsLateMs, open] of [
    ['remoting, broker', 0, () => connect(rocketmq.nameServer)],
    // A proxy keeps routes for 20 s.
    ['remoting, proxy', 20_000, () => throughProxy(connect(rocketmq.proxy), connect(rocketmq.nameServer))],
  ] as const) {
    const messageBytesMax = 16_711_680;
    messageLogContract(
      name,
      { assign: true, subscribe: false, createTopic: true, delay: true, processes: true, messageBytesMax, dottedTopics: false },
      async () => {
        const opened: MessageLog[] = [];
        const own = (): MessageLog => {
          const log = open();
          opened.push(log);
          return log;
        };
        await deleteAllTopics();
        return {
          connect: own,
          topicsLateMs,
          now: () => Date.now(),
          wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
          close: async () => {
            for (const log of opened) await log.close();
          },
        };
      },
    );
  }
});

async function deleteAllTopics(): Promise<void> {
  const log = connect(rocketmq.nameServer);
  for (const topic of await log.listTopics()) await log.deleteTopic(topic);
  await log.close();
}

/** A proxy carries messages; topics are created, listed and deleted at the name server. */
function throughProxy(data: MessageLog, admin: MessageLog): MessageLog {
  return {
    capabilities: data.capabilities,
    describeTopic: (topic) => data.describeTopic(topic),
    createTopic: (topic, settings) => admin.createTopic(topic, settings),
    listTopics: () => admin.listTopics(),
    deleteTopic: (topic) => admin.deleteTopic(topic),
    send: (queue, batch) => data.send(queue, batch),
    flush: () => data.flush(),
    assign: (group, assignments) => data.assign(group, assignments),
    subscribe: (group, topics) => data.subscribe(group, topics),
    minOffset: (queue) => data.minOffset(queue),
    maxOffset: (queue) => data.maxOffset(queue),
    offsetAt: (queue, timestampMs) => data.offsetAt(queue, timestampMs),
    mirrorPosition: (group, queue, position) => data.mirrorPosition(group, queue, position),
    close: async () => {
      await data.close();
      await admin.close();
    },
  };
}
