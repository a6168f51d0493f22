import type { Settings } from '@rocketmq-connect/configuration';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageLog } from '@rocketmq-connect/message-log';
import { connectProxyLog } from '@rocketmq-connect/message-log/proxy/client';
import { connectRemotingLog } from '@rocketmq-connect/message-log/remoting/client';
import { reach } from '@rocketmq-connect/process/reach';
import { ConnectError } from '@rocketmq-connect/sdk';
import { rocketmqAccess } from '@rocketmq-connect/task-runner-service/main';
import { type Finding, failed, failedOf, ok } from './finding.ts';

/** Whether the name servers or proxies are there, know brokers, and accept us. Writes nothing. */
export async function checkRocketmq(settings: Settings, baseDirectory: string): Promise<readonly Finding[]> {
  const { namesrv, proxy } = settings.rocketmq;
  if (namesrv.length + proxy.length === 0) return [ok('RocketMQ', 'not used: the message log is in the data folder')];
  const kind = namesrv.length > 0 ? 'name server' : 'proxy';
  const findings: Finding[] = [];
  for (const address of [...namesrv, ...proxy]) {
    const why = await reach(address);
    const flag = kind === 'proxy' ? '--rocketmq-proxy' : '--rocketmq-namesrv';
    if (why === null) findings.push(ok(`${kind} ${address}`, 'takes connections'));
    else
      findings.push(
        failed(
          `${kind} ${address}`,
          `cannot be reached: ${why}`,
          `is it started, is the address right (${flag}), does a firewall let us through?`,
        ),
      );
  }
  if (findings.every(({ state }) => state === 'failed')) return findings;
  try {
    const log = connect(settings, baseDirectory);
    try {
      findings.push(kind === 'proxy' ? await checkProxy(log) : await checkBrokers(log));
    } finally {
      await log.close();
    }
  } catch (error) {
    findings.push(failedOf('RocketMQ', error, 'look at the logs of its name servers and brokers'));
  }
  return findings;
}

function connect(settings: Settings, baseDirectory: string): MessageLog {
  const { namesrv, proxy } = settings.rocketmq;
  const base = { clientId: `doctor@${process.pid}`, ...rocketmqAccess(settings, baseDirectory) };
  const tools = { clock: systemClock, random: Math.random };
  if (namesrv.length > 0) return connectRemotingLog({ kind: 'remoting', nameServers: namesrv, ...base }, tools);
  return connectProxyLog({ kind: 'proxy', proxies: proxy, ...base }, { ...tools, pid: process.pid });
}

/** The first topic that has queues shows whether its brokers answer, and to us. */
async function checkBrokers(log: MessageLog): Promise<Finding> {
  const topics = await log.listTopics();
  for (const topic of topics) {
    const { queues } = await log.describeTopic(topic);
    const [queue] = queues;
    if (queue === undefined) continue;
    await log.maxOffset(queue);
    return ok('brokers', `broker ${queue.broker} answers; there are ${topics.length} topics`);
  }
  return ok('brokers', 'the name server answers; there is no topic yet to ask a broker about');
}

/** A topic that is not there is answered as such to those who are let in only. */
async function checkProxy(log: MessageLog): Promise<Finding> {
  try {
    await log.describeTopic('rocketmq-connect-doctor');
  } catch (error) {
    if (!(error instanceof ConnectError) || error.code !== 'TOPIC_NOT_FOUND') throw error;
  }
  return ok('brokers', 'the proxy answers');
}
