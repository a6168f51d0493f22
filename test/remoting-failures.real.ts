import assert from 'node:assert/strict';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { BatchBuilder, decodeFetched } from '@rocketmq-connect/message-log/message';
import { connectRemotingLog, type RemotingLogConnection } from '@rocketmq-connect/message-log/remoting/client';
import { ConnectError } from '@rocketmq-connect/sdk';
import { killRocketmq, rocketmq, startRocketmq, useRocketmq } from './support/rocketmq.ts';

const TOPIC = 'remoting-failures';
const { signal } = new AbortController();

describe('A real RocketMQ that fails', function () {
  this.timeout(180_000);
  let log: MessageLog;
  let queues: readonly QueueAddress[];
  const logs: MessageLog[] = [];

  before(async function () {
    await useRocketmq(this);
  });
  beforeEach(async () => {
    log = connect();
    if ((await log.listTopics()).includes(TOPIC)) await log.deleteTopic(TOPIC);
    ({ queues } = await log.createTopic(TOPIC, { queues: 4 }));
  });
  afterEach(async () => {
    for (const each of logs.splice(0)) await each.close();
  });

  function connect(settings: Partial<RemotingLogConnection> = {}): MessageLog {
    const connection = { kind: 'remoting', nameServers: [rocketmq.nameServer], clientId: `failures-${logs.length}`, ...settings } as const;
    const opened = connectRemotingLog(connection, { clock: systemClock, random: Math.random });
    logs.push(opened);
    return opened;
  }

  it('takes up after kill -9 of the broker: what was acknowledged is there, in order, and only what was in doubt may be twice', async () => {
    const sending = sendNumbers(log, queues, 400, 50);
    await sending.reached(60);
    await killRocketmq('broker');
    await startRocketmq();
    const { doubted } = await sending.done;
    await verify(log, queues, 400 * 50, doubted);
  });

  it('goes on while the name server is away, and after it lost its memory', async () => {
    const sending = sendNumbers(log, queues, 200, 20);
    await sending.reached(20);
    await killRocketmq('namesrv');
    await sending.reached(120);
    await startRocketmq();
    const { doubted } = await sending.done;
    assert.equal(doubted, 0, 'brokers were there all the time');
    await verify(log, queues, 200 * 20, doubted);
    // Known again, to those who never heard of it too.
    assert.equal((await eventually(() => connect().describeTopic(TOPIC))).queues.length, 4);
  });

  it('sees a topic grow from 4 to 8 queues', async () => {
    const other = connect();
    await other.send(queues[0] as QueueAddress, numbered(0, 1));
    const grown = await log.createTopic(TOPIC, { queues: 8 });
    assert.equal(grown.queues.length, 8);
    assert.deepEqual(await eventually(() => other.send(grown.queues[7] as QueueAddress, numbered(0, 1))), { offset: 0 });
  });

  it('survives a wire that is cut and stalls within frames', async () => {
    const wire = await new Wire(rocketmq.proxy).listen();
    try {
      // A proxy names itself in routes; behind a wire only pulls and sends through it matter.
      const direct = connect({ requestTimeoutMs: 1_000, nameServers: [wire.address] });
      for (let round = 0; round < 10; round++) {
        wire.stallAfter = round % 2 === 0 ? 300 : Number.POSITIVE_INFINITY;
        if (round % 2 === 1) wire.cut();
        await direct.describeTopic(TOPIC).catch((error: ConnectError) => assert.equal(error.kind, 'retriable', error.message));
        wire.stallAfter = Number.POSITIVE_INFINITY;
        assert.equal((await eventually(() => direct.describeTopic(TOPIC))).queues.length, 4);
      }
    } finally {
      wire.close();
    }
  });

  it('speaks TLS', async () => {
    const secure = connect({ tls: { rejectUnauthorized: false } });
    assert.deepEqual(await secure.send(queues[0] as QueueAddress, numbered(0, 3)), { offset: 0 });
    await assert.rejects(connect({ tls: {} }).describeTopic(TOPIC), { kind: 'retriable', message: /self-signed|certificate/i });
  });
});

/** Sends numbers 0, 1, 2 … to each queue in turn, one batch in flight per queue, again where it failed. */
function sendNumbers(log: MessageLog, queues: readonly QueueAddress[], batches: number, size: number) {
  let sent = 0;
  let doubted = 0;
  const each = batches / queues.length;
  const done = Promise.all(
    queues.map(async (queue) => {
      for (let i = 0; i < each; i++) {
        await eventually(
          () => log.send(queue, numbered(i * size, size)),
          (error) => {
            if (error.code === 'SEND_OUTCOME_UNKNOWN') doubted++;
          },
        );
        sent++;
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    }),
  ).then(() => ({ doubted }));
  const reached = async (count: number): Promise<void> => {
    while (sent < count) await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 5))]);
  };
  return { done, reached };
}

async function verify(log: MessageLog, queues: readonly QueueAddress[], total: number, doubted: number): Promise<void> {
  const each = total / queues.length;
  let repeats = 0;
  const reader = await log.assign(
    'failures',
    queues.map((queue) => ({ queue, position: 0 })),
  );
  const ends = new Map(await Promise.all(queues.map(async (queue) => [queue.queue, await log.maxOffset(queue)] as const)));
  const next = new Map(queues.map(({ queue }) => [queue, 0]));
  let left = [...ends.values()].reduce((sum, end) => sum + end, 0);
  while (left > 0) {
    for (const fetched of await reader.read(1_000_000, 5_000, signal)) {
      const { queue } = fetched.queue;
      left -= fetched.count;
      decodeFetched(fetched, (body) => {
        const number = Number(body);
        const expected = next.get(queue) ?? 0;
        if (number < expected) repeats++;
        else assert.equal(number, expected, `queue ${queue}: none lost, in order`);
        next.set(queue, Math.max(expected, number + 1));
      });
    }
  }
  assert.deepEqual(
    [...next.values()],
    queues.map(() => each),
  );
  assert.ok(repeats === 0 || doubted > 0, `${repeats} messages twice, ${doubted} sends in doubt`);
  await reader.close();
}

function numbered(from: number, count: number): { bytes: Buffer; count: number } {
  const builder = new BatchBuilder();
  for (let i = 0; i < count; i++) builder.add(Buffer.from(String(from + i)), '');
  return builder.take();
}

/** Tries again on what may pass. */
async function eventually<T>(attempt: () => Promise<T>, onError: (error: ConnectError) => void = () => {}): Promise<T> {
  const until = performance.now() + 120_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const isTemporary = error instanceof ConnectError && (error.kind === 'retriable' || error.code === 'TOPIC_NOT_FOUND');
      if (!isTemporary || performance.now() > until) throw error;
      onError(error);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** A TCP forwarder that can be cut, or stop within an answer. */
class Wire {
  /** Bytes of answers per connection after which nothing more comes. */
  stallAfter = Number.POSITIVE_INFINITY;
  readonly #target: string;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  constructor(target: string) {
    this.#target = target;
    this.#server = createServer((near) => {
      const [host = '', port] = this.#target.split(':');
      const far = connectTcp(Number(port), host);
      let passed = 0;
      far.on('data', (chunk) => {
        const room = Math.max(0, this.stallAfter - passed);
        passed += chunk.length;
        if (room > 0) near.write(chunk.subarray(0, room));
      });
      near.on('data', (chunk) => far.write(chunk));
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          this.#sockets.delete(socket);
          other.destroy();
        });
      }
    });
  }

  get address(): string {
    const address = this.#server.address();
    return `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  }

  listen(): Promise<this> {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', () => resolve(this)));
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }
}
