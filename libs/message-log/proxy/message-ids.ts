import type { Random } from '@rocketmq-connect/sdk';

const EPOCH_S = Date.UTC(2021, 0, 1) / 1000;

/**
 * Message ids as all clients make them (https://github.com/apache/rocketmq-clients/blob/master/docs/message_id.md): version 1, six bytes of
 * the machine, two of the process, seconds since 2021, a number. The machine's are random: task hosts are threads of one process.
 */
export function messageIds(random: Random, pid: number, nowMs: () => number): () => string {
  const prefix = `01${hex(Math.floor(random() * 2 ** 48), 12)}${hex(pid & 0xffff, 4)}`;
  let next = 0;
  return () => {
    const id = prefix + hex(Math.floor(nowMs() / 1000) - EPOCH_S, 8) + hex(next, 8);
    next = (next + 1) % 2 ** 32;
    return id;
  };
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}
