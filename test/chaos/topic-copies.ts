import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageLog, QueueAddress } from '@rocketmq-connect/message-log';
import { connectRemotingLog } from '@rocketmq-connect/message-log/remoting/client';
import { visitStoredMessages, visitStoredPositions } from '@rocketmq-connect/message-log/stored-message';

/** The broker's wall clock, in the header of a stored message whose born host is an IPv4 address (stored-message.ts). */
const STORE_TIME_AT = 56;

/** When each copy of these lines was stored in a topic, earliest first, wall clock ms. */
export async function copiesInTopic(
  nameServer: string,
  topic: string,
  lines: ReadonlySet<string>,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const connection = { kind: 'remoting', nameServers: [nameServer], clientId: `copies-${process.pid}` } as const;
  const log = connectRemotingLog(connection, { clock: systemClock, random: Math.random });
  const copies = new Map<string, number[]>([...lines].map((line) => [line, []]));
  try {
    const { queues } = await log.describeTopic(topic);
    for (const queue of queues) {
      await readQueue(log, queue, (line, storedAtMs) => copies.get(line)?.push(storedAtMs));
    }
  } finally {
    await log.close();
  }
  return new Map([...copies].map(([line, times]) => [line, times.sort((a, b) => a - b)]));
}

async function readQueue(log: MessageLog, queue: QueueAddress, visit: (line: string, storedAtMs: number) => void): Promise<void> {
  const end = await log.maxOffset(queue);
  if (end === 0) return;
  const reader = await log.assign('chaos-copies', [{ queue, position: 0 }]);
  try {
    for (let position = 0; position < end; ) {
      for (const { bytes, count, offset } of await reader.read(1 << 22, 1_000, new AbortController().signal)) {
        const storedAtMs: number[] = [];
        visitStoredPositions(bytes, (at) => storedAtMs.push(Number(bytes.readBigInt64BE(at + STORE_TIME_AT))));
        visitStoredMessages(bytes, (body, _from, _to, index) => visit(body.toString(), storedAtMs[index] ?? 0));
        position = offset + count;
      }
    }
  } finally {
    await reader.close();
  }
}
