import assert from 'node:assert/strict';
import { recorded } from '../../../test/support/remoting-recorded.ts';
import { encodeFrameHead, FRAME_BYTES_MAX, type Frame, FrameDecoder } from './frame.ts';

describe('The remoting frame', () => {
  it('is read from the bytes of a broker, however they are cut', () => {
    const whole = Buffer.concat([recorded.send, recorded.pull, recorded.sendTooLarge]);
    for (const size of [1, 2, 3, 4, 5, 7, 100, 1_000, whole.length]) {
      const frames = decode(chunksOf(whole, size));
      assert.deepEqual(
        frames.map(({ code, opaque, response, oneway }) => ({ code, opaque, response, oneway })),
        [0, 0, 1].map((code) => ({ code, opaque: 7, response: true, oneway: false })),
      );
      assert.equal(frames[0]?.fields['queueOffset'], '0');
      assert.equal(frames[1]?.body.length, 217);
      assert.match(frames[2]?.remark ?? '', /message body size exceeded/);
    }
  });

  it('is written as a broker reads it', () => {
    const head = encodeFrameHead(310, 9, true, { topic: 'a"b\\ü', queueId: 3, unit: false }, 5);
    const headerBytes = head.readInt32BE(4);
    assert.equal(head.readInt32BE(0), 4 + headerBytes + 5);
    assert.equal(head.length, 8 + headerBytes);
    const header = JSON.parse(head.toString('utf8', 8));
    assert.deepEqual(header, {
      code: 310,
      language: 'OTHER',
      version: 401,
      opaque: 9,
      flag: 2,
      extFields: { topic: 'a"b\\ü', queueId: '3', unit: 'false' },
      serializeTypeCurrentRPC: 'JSON',
    });
    const [frame] = decode([head, Buffer.from('body!')]);
    assert.deepEqual([frame?.fields['topic'], frame?.oneway, frame?.body.toString()], ['a"b\\ü', true, 'body!']);
  });

  it('has a header in the binary layout too', () => {
    const text = (bytes: number, value: string): Buffer => {
      const length = Buffer.alloc(bytes);
      length.writeIntBE(Buffer.byteLength(value), 0, bytes);
      return Buffer.concat([length, Buffer.from(value)]);
    };
    const fixed = Buffer.alloc(13);
    fixed.writeInt16BE(19, 0);
    fixed.writeInt16BE(493, 3);
    fixed.writeInt32BE(4711, 5);
    fixed.writeInt32BE(1, 9);
    const fields = Buffer.concat([text(2, 'maxOffset'), text(4, '12'), text(2, 'ü'), text(4, '')]);
    const fieldsLength = Buffer.alloc(4);
    fieldsLength.writeInt32BE(fields.length);
    const header = Buffer.concat([fixed, text(4, 'why'), fieldsLength, fields]);
    const [frame] = decode([frameOf(1, header, Buffer.from('xy'))]);
    assert.deepEqual(
      { ...frame, body: frame?.body.toString() },
      {
        code: 19,
        opaque: 4711,
        response: true,
        oneway: false,
        remark: 'why',
        version: 493,
        fields: { maxOffset: '12', ü: '' },
        body: 'xy',
      },
    );
    for (let length = 0; length < header.length; length++) {
      assert.throws(() => decode([frameOf(1, header.subarray(0, length), Buffer.alloc(0))]), { code: 'REMOTING_PROTOCOL' }, `${length}`);
    }
  });

  it('is refused where it can be none: the connection must end, and nothing is kept for it', () => {
    const int32 = (value: number): Buffer => {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32BE(value);
      return bytes;
    };
    for (const [what, bytes] of Object.entries({
      http: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
      negative: int32(-1),
      tooShort: int32(3),
      tooLong: int32(FRAME_BYTES_MAX + 1),
      headerBeyondFrame: Buffer.concat([int32(8), int32(100), int32(0)]),
      unknownSerializer: frameOf(7, Buffer.from('{}'), Buffer.alloc(0)),
      noJson: frameOf(0, Buffer.from('{"code":'), Buffer.alloc(0)),
      noObject: frameOf(0, Buffer.from('null'), Buffer.alloc(0)),
      noCode: frameOf(0, Buffer.from('{"opaque":1}'), Buffer.alloc(0)),
    })) {
      assert.throws(() => decode([bytes]), { kind: 'fatal', code: 'REMOTING_PROTOCOL' }, what);
    }
  });
});

function decode(chunks: readonly Buffer[]): Frame[] {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  for (const chunk of chunks) decoder.push(chunk, (frame) => frames.push(frame));
  return frames;
}

function chunksOf(whole: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(whole.length / size) }, (_, i) => whole.subarray(i * size, (i + 1) * size));
}

function frameOf(serializer: number, header: Buffer, body: Buffer): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeInt32BE(4 + header.length + body.length, 0);
  prefix.writeInt32BE(header.length | (serializer << 24), 4);
  return Buffer.concat([prefix, header, body]);
}
