import assert from 'node:assert/strict';
import { recorded } from '../../test/support/remoting-recorded.ts';
import { storedMessage, storedMessages } from '../../test/support/stored-messages.ts';
import { decompressLz4 } from './lz4.ts';
import { decodeFetched } from './message.ts';
import { storedAtMs, visitStoredPositions } from './stored-message.ts';

/** 40 times "line N grün; ", as the Java client's compressors write it, with the flag they set. */
const TEXT = Array.from({ length: 40 }, (_, i) => `line ${i} grün; `).join('');
const COMPRESSED = {
  LZ4: [
    0x101,
    'BCJNGGBwc7MAAADhbGluZSAwIGdyw7xuOyAOABkxDgAZMg4AGTMOABk0DgAZNQ4AGTYOABk3DgAZOA4AGTkOABsxjQAKjgAaMY8AGjGQABoxkQAaMZIAGjGTABoxlAAaMZUAGjGWABoylgAaMpYAGjKWABoylgAaMpYAGjKWABoylgAaMpYAGjKWABoylgAaM5YAGjOWABozlgAaM5YAGjOWABozlgAaM5YAGjOWABozlgCgMzkgZ3LDvG47IAAAAAA=',
  ],
  ZSTD: [
    0x201,
    'KLUv/QBYNAQA1ANsaW5lIDAgZ3LDvG47IDEyMzQ1Njc4OTExMTExMTExMTIyMjIyMjIyMjIzMzMzMzMzMzMzOSBncsO8bjsgJyCAo9IDsshXZrKQT2ZlkY/MZCGfzMgin8zKIh+ZLUsG+TDJ7JIsluSrJDNKskyST5LMkWSDdOwhxz3YIY47mEOOY8fGFZUBAAA=',
  ],
  ZLIB: [
    0x301,
    'eF5d0bsJgEAURNFWtgRnxi/WIyIsBtZnZmNiItwNb/QO8+pxbqUr+/Xc51rqV0IZFVSPGlAjakLNqIXXGww1Ikf0iCBRJJJEk4gSVabKzUZUmSpTZapMlakyVaYqVIWqNK+jKlSFqlAVqkJVftULBS3XeQ==',
  ],
  'zlib, by clients that set no type': [
    0x1,
    'eF5d0bsJgEAURNFWtgRnxi/WIyIsBtZnZmNiItwNb/QO8+pxbqUr+/Xc51rqV0IZFVSPGlAjakLNqIXXGww1Ikf0iCBRJJJEk4gSVabKzUZUmSpTZapMlakyVaYqVIWqNK+jKlSFqlAVqkJVftULBS3XeQ==',
  ],
} as const;

describe('Stored messages', () => {
  it('are decoded where they are in the answer of a broker', () => {
    const body = recorded.pull.subarray(recorded.pull.length - 217);
    const seen: unknown[] = [];
    decodeFetched({ bytes: body, layout: 'stored' }, (each, properties, index) => {
      assert.equal(each.buffer, body.buffer, 'a slice');
      seen.push([index, each.toString(), properties]);
    });
    assert.deepEqual(seen, [
      [0, 'first', 'KEYS\x01k1\x02'],
      [1, 'second', ''],
    ]);
    const positions: number[] = [];
    visitStoredPositions(body, (_at, _end, offset) => positions.push(offset));
    assert.deepEqual(positions, [0, 1]);
    assert.ok(storedAtMs(body) > Date.parse('2026-01-01'));
  });

  for (const [name, [systemFlag, base64]] of Object.entries(COMPRESSED)) {
    it(`are decompressed: ${name}`, () => {
      const message = storedMessage({ body: Buffer.from(base64, 'base64'), systemFlag });
      assert.deepEqual(decode(message), [[TEXT, '']]);
      const broken = storedMessage({ offset: 41, body: Buffer.from(base64, 'base64').fill(0xee, 0, 12), systemFlag });
      assert.throws(() => decode(broken), { kind: 'fatal', code: 'MESSAGE_COMPRESSION', message: /position 41/, remedy: /42/ });
    });
  }

  it('may have hosts with IPv6 addresses and topics with long names', () => {
    const properties = 'a\x01ü\x02';
    for (const systemFlag of [0, 0x10, 0x20, 0x30]) {
      for (const long of [{}, { magic: 0xdaa320a8, topic: 'x'.repeat(300) }]) {
        const message = storedMessage({ systemFlag, properties, storedAtMs: 1_234_567_890_123, ...long });
        assert.deepEqual(decode(message), [['body', properties]]);
        assert.equal(storedAtMs(message), 1_234_567_890_123);
      }
    }
  });

  it('that hold a batch of their own are refused', () => {
    assert.throws(() => decode(storedMessage({ systemFlag: 0x80 })), { code: 'MESSAGE_INNER_BATCH' });
  });

  it('that do not add up are refused', () => {
    const two = storedMessages(0, 2);
    for (let length = 1; length < two.length; length++) {
      if (length === two.length / 2) continue;
      assert.throws(() => decode(two.subarray(0, length)), RangeError, `${length} bytes`);
    }
    const badMagic = Buffer.from(two);
    badMagic.writeInt32BE(0, 4);
    assert.throws(() => decode(badMagic), RangeError);
  });

  it('do not grow without bound when they are decompressed', () => {
    // 1 MiB of zeros from a few bytes: one literal, then a match of one byte back.
    const block = Buffer.concat([Buffer.from([0x1f, 0x00, 0x01, 0x00]), Buffer.alloc(4_096, 255), Buffer.from([0, 0])]);
    const frame = Buffer.concat([Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x00]), int32le(block.length), block, int32le(0)]);
    assert.equal(decompressLz4(frame, 2 * 1024 * 1024).length, 1 + 4_096 * 255 + 15 + 4);
    assert.throws(() => decompressLz4(frame, 1_000_000), RangeError);
  });
});

function decode(bytes: Buffer): [string, string][] {
  const seen: [string, string][] = [];
  decodeFetched({ bytes, layout: 'stored' }, (body, properties) => seen.push([body.toString(), properties]));
  return seen;
}

function int32le(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
