import assert from 'node:assert/strict';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import { connectRemotingLog, type RemotingLogConnection } from '@rocketmq-connect/message-log/remoting/client';
import { runFault } from './support/fault-run.ts';
import { JavaClient } from './support/java-client.ts';
import { rocketmq, useRocketmq } from './support/rocketmq.ts';
import { faults } from './support/rocketmq-faults.ts';

describe('A real RocketMQ that fails', function () {
  this.timeout(300_000);
  let java: JavaClient;

  before(async function () {
    await useRocketmq(this);
    java = await JavaClient.start(rocketmq.nameServer);
  });
  after(() => java?.stop());

  for (const [seed, fault] of faults.entries()) {
    if (fault.takesMinutes) continue;
    it(`S148: loses nothing, and doubles only what was in doubt, when ${fault.when}`, async () => {
      await runFault(fault, { seed, records: 10_000, repetitions: 1, java });
    });
  }

  it('speaks TLS', async () => {
    const connect = (tls: RemotingLogConnection['tls']) =>
      connectRemotingLog(
        { kind: 'remoting', nameServers: [rocketmq.nameServer], clientId: `tls-${process.pid}`, ...(tls === undefined ? {} : { tls }) },
        { clock: systemClock, random: Math.random },
      );
    const trusting = connect({ rejectUnauthorized: false });
    const wary = connect({});
    try {
      assert.ok(Array.isArray(await trusting.listTopics()));
      await assert.rejects(wary.listTopics(), { kind: 'retriable', message: /self-signed|certificate/i });
    } finally {
      await trusting.close();
      await wary.close();
    }
  });
});
