export interface StoredMessageFields {
  readonly offset?: number;
  readonly body?: Buffer;
  readonly properties?: string;
  readonly systemFlag?: number;
  readonly topic?: string;
  readonly magic?: number;
  readonly storedAtMs?: number;
}

const MAGIC = 0xdaa320a7;
const MAGIC_V2 = 0xdaa320a8;

/** A message in the layout in which brokers store it. */
export function storedMessage(fields: StoredMessageFields): Buffer {
  const {
    offset = 0,
    body = Buffer.from('body'),
    properties = '',
    systemFlag = 0,
    topic = 'lines',
    magic = MAGIC,
    storedAtMs = 1,
  } = fields;
  const host = (isV6: boolean): Buffer => Buffer.concat([Buffer.alloc(isV6 ? 16 : 4, 1), int32(9876)]);
  const content = Buffer.concat([
    int32(magic | 0),
    int32(0),
    int32(0),
    int32(0),
    int64(offset),
    int64(1_000_000),
    int32(systemFlag),
    int64(storedAtMs - 1),
    host((systemFlag & 0x10) !== 0),
    int64(storedAtMs),
    host((systemFlag & 0x20) !== 0),
    int32(0),
    int64(0),
    int32(body.length),
    body,
    magic === MAGIC_V2 ? int16(topic.length) : Buffer.from([topic.length]),
    Buffer.from(topic),
    int16(Buffer.byteLength(properties)),
    Buffer.from(properties),
  ]);
  return Buffer.concat([int32(content.length + 4), content]);
}

/** `count` messages whose bodies are their positions. */
export function storedMessages(from: number, count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, i) => storedMessage({ offset: from + i, body: Buffer.from(String(from + i)) })));
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function int64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}
