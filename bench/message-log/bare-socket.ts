import { connect } from 'node:net';
import type { MessageBatch, QueueAddress } from '@rocketmq-connect/message-log';
import { encodeFrameHead } from '@rocketmq-connect/message-log/remoting/frame';
import { pullRequest } from '@rocketmq-connect/message-log/remoting/requests/pull';
import { sendBatchRequest } from '@rocketmq-connect/message-log/remoting/requests/send-batch';
import { measured, type Work } from './rounds.ts';

/** As many as a broker hands out from memory. */
const PER_PULL = 32;

/** Speaks the adapter's frames with one broker and does as little as can be done besides: the same batch for ever, no answer looked into. */
export interface BareSocket {
  readonly address: string;
  readonly broker: string;
}

/** One batch in flight per queue. */
export function sendBare(bare: BareSocket, queues: readonly QueueAddress[], batch: MessageBatch, batchesPerQueue: number): Promise<Work> {
  return measured(async () => {
    const left = queues.map(() => batchesPerQueue);
    await loop(bare.address, queues.length, (slot) => {
      const queue = queues[slot];
      if (queue === undefined || left[slot] === 0) return undefined;
      left[slot] = (left[slot] ?? 0) - 1;
      const { code, fields } = sendBatchRequest('bench', queue.topic, bare.broker, queue.queue, batch, 0);
      return [encodeFrameHead(code, slot, false, fields, batch.bytes.length), batch.bytes];
    });
    const batches = queues.length * batchesPerQueue;
    return { records: batches * batch.count, bytes: batches * batch.bytes.length };
  });
}

/** So many pulls in flight per queue, from the beginning up to `end`. */
export function pullBare(bare: BareSocket, queues: readonly QueueAddress[], pulls: number, end: number): Promise<Work> {
  return measured(async () => {
    const next = queues.map(() => 0);
    const bytes = await loop(bare.address, queues.length * pulls, (slot) => {
      const index = slot % queues.length;
      const queue = queues[index];
      const offset = next[index] ?? 0;
      if (queue === undefined || offset + PER_PULL > end) return undefined;
      next[index] = offset + PER_PULL;
      const { topic, queue: id } = queue;
      const more = { group: 'bench', broker: bare.broker, maxCount: PER_PULL, maxBytes: 256 * 1024, suspendMs: 0 };
      const { code, fields } = pullRequest({ topic, queue: id, offset, ...more });
      return [encodeFrameHead(code, slot, false, fields, 0)];
    });
    return { records: next.reduce((sum, offset) => sum + offset, 0), bytes };
  });
}

/** A slot asks again as soon as it is answered, until `request` has no more for it. Resolves with the bytes of the bodies that came. */
function loop(address: string, slots: number, request: (slot: number) => readonly Buffer[] | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    const [host = '', port] = address.split(':');
    const socket = connect(Number(port), host);
    socket.setNoDelay(true);
    let open = 0;
    let bytes = 0;
    const ask = (slot: number): void => {
      const parts = request(slot);
      if (parts === undefined) {
        if (--open > 0) return;
        socket.destroy();
        return resolve(bytes);
      }
      socket.cork();
      for (const part of parts) socket.write(part);
      socket.uncork();
    };
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
        const size = 4 + rest.readInt32BE(0);
        bytes += size - 8 - (rest.readInt32BE(4) & 0xffffff);
        const at = rest.indexOf('"opaque":', 8) + 9;
        ask(Number.parseInt(rest.toString('latin1', at, at + 6), 10));
        rest = rest.subarray(size);
      }
    });
    socket.on('error', reject);
    socket.on('connect', () => {
      open = slots;
      for (let slot = 0; slot < slots; slot++) ask(slot);
    });
  });
}
