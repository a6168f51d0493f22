import assert from 'node:assert/strict';
import { decodeFetched } from '@rocketmq-connect/message-log/message';
import { encodeFrameHead, FrameDecoder } from '@rocketmq-connect/message-log/remoting/frame';
import { visitStoredPositions } from '@rocketmq-connect/message-log/stored-message';
import { ConnectError } from '@rocketmq-connect/sdk';
import { between, seededRandom } from '@rocketmq-connect/sdk/testing/seeded-random';
import { recorded } from './remoting-recorded.ts';
import { storedMessage } from './stored-messages.ts';

/**
 * Feeds random and mutated frames and messages to the decoders: each is decoded or refused by an error of the right kind, in bounded
 * time and memory.
 */
export function fuzzRemoting(rounds: number, seed: number): { readonly decoded: number; readonly refused: number } {
  const random = seededRandom(seed);
  const messages = [0, 0x10, 0x20, 0x101, 0x201, 0x301, 0x80].map((systemFlag, i) =>
    storedMessage({ offset: i, systemFlag, properties: 'KEYS\x01k\x02', body: Buffer.from('some body, some body, some body') }),
  );
  const frames = [
    ...Object.values(recorded),
    Buffer.concat([encodeFrameHead(11, 1, false, { topic: 't', queueId: 3 }, 4), Buffer.alloc(4)]),
  ];
  let decoded = 0;
  let refused = 0;
  const attempt = (run: () => void): void => {
    try {
      run();
      decoded++;
    } catch (error) {
      refused++;
      if (!(error instanceof ConnectError) && !(error instanceof RangeError)) throw error;
    }
  };
  for (let round = 0; round < rounds; round++) {
    const isMessage = random() < 0.5;
    const pool = isMessage ? messages : frames;
    const bytes = random() < 0.2 ? randomBytes(random, 300) : mutated(random, pool[between(random, 0, pool.length - 1)] as Buffer);
    if (isMessage) {
      attempt(() => {
        let bodyBytes = 0;
        decodeFetched({ bytes, layout: 'stored' }, (body) => {
          bodyBytes += body.length;
        });
        assert.ok(bodyBytes < 64 * 1024 * 1024);
      });
      attempt(() => visitStoredPositions(bytes, () => {}));
    } else {
      const decoder = new FrameDecoder();
      attempt(() => {
        for (let at = 0; at < bytes.length; ) {
          const size = between(random, 1, 200);
          decoder.push(bytes.subarray(at, at + size), ({ body }) => assert.ok(body.length <= bytes.length));
          at += size;
        }
      });
    }
  }
  return { decoded, refused };
}

function mutated(random: () => number, whole: Buffer): Buffer {
  const bytes = Buffer.from(random() < 0.3 ? Buffer.concat([whole, whole]) : whole);
  for (let i = between(random, 0, 4); i > 0; i--) {
    const at = between(random, 0, bytes.length - 1);
    if (random() < 0.5) bytes[at] = between(random, 0, 255);
    else if (at + 4 <= bytes.length) bytes.writeInt32BE(between(random, -1, 1) * between(random, 0, 2 ** 20), at);
  }
  return random() < 0.3 ? bytes.subarray(between(random, 0, 8), between(random, 8, bytes.length)) : bytes;
}

function randomBytes(random: () => number, most: number): Buffer {
  return Buffer.from(Array.from({ length: between(random, 1, most) }, () => between(random, 0, 255)));
}
