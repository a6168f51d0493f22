import { FatalError, RetriableError } from '@rocketmq-connect/sdk';

/**
 * RocketMQ's remoting frame (org.apache.rocketmq.remoting.protocol.RemotingCommand):
 *
 *     int32 length of what follows
 *     int32 top byte: serializer of the header (0 JSON, 1 ROCKETMQ); low 24 bits: header length
 *     header, body
 */
export interface Frame {
  readonly code: number;
  /** Matches a response to its request. */
  readonly opaque: number;
  readonly response: boolean;
  /** A request that wants no answer. */
  readonly oneway: boolean;
  readonly remark: string;
  /** MQVersion of the peer. */
  readonly version: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** A peer never sends more in one frame: a pull is bounded by `maxMsgBytes`, a route by the number of its queues. */
export const FRAME_BYTES_MAX = 64 * 1024 * 1024;
const PREFIX_BYTES = 8;
const JSON_SERIALIZER = 0;
const BINARY_SERIALIZER = 1;
const RESPONSE_FLAG = 1;
const ONEWAY_FLAG = 2;
/** MQVersion of 4.9.x: brokers answer older and newer clients alike. */
const PROTOCOL_VERSION = 401;

/** The head of a request frame; the body is written behind it as it is. */
export function encodeFrameHead(
  code: number,
  opaque: number,
  oneway: boolean,
  fields: Readonly<Record<string, string | number | boolean>>,
  bodyBytes: number,
): Buffer {
  // By hand: a fifth of the time of a JSON.stringify over a copy with texts as values.
  let header = `{"code":${code},"language":"OTHER","version":${PROTOCOL_VERSION},"opaque":${opaque},"flag":${oneway ? ONEWAY_FLAG : 0},"extFields":{`;
  let separator = '"';
  for (const name in fields) {
    const value = fields[name];
    header += `${separator}${name}":${typeof value === 'string' ? JSON.stringify(value) : `"${value}"`}`;
    separator = ',"';
  }
  header += '},"serializeTypeCurrentRPC":"JSON"}';
  const headerBytes = Buffer.byteLength(header);
  const head = Buffer.allocUnsafe(PREFIX_BYTES + headerBytes);
  head.writeInt32BE(4 + headerBytes + bodyBytes, 0);
  head.writeInt32BE(headerBytes, 4);
  head.write(header, PREFIX_BYTES);
  return head;
}

/** A field that is a whole number. Throws `RetriableError` where it is none: what answered is no broker as we know them. */
export function numberField({ fields }: Frame, name: string): number {
  const value = fields[name] === undefined ? Number.NaN : Number(fields[name]);
  if (Number.isSafeInteger(value)) return value;
  throw new RetriableError(`the peer sent ${JSON.stringify(fields[name])} for ${name}`, { code: 'REMOTING_PROTOCOL' });
}

/** Takes chunks as they come from a socket and gives whole frames. Throws `FatalError` on what can be no frame: the connection must end. */
export class FrameDecoder {
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Bytes of the frame in progress, its length field included; 0 while that is not known. */
  #needed = 0;

  push(chunk: Buffer, onFrame: (frame: Frame) => void): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#bytes === 0 && rest.length >= 4) {
        // The common case: one chunk holds whole frames, which are sliced out of it.
        const needed = 4 + checkedLength(rest.readInt32BE(0));
        if (rest.length >= needed) {
          onFrame(decodeFrame(rest.subarray(0, needed)));
          rest = rest.subarray(needed);
          continue;
        }
        this.#needed = needed;
      }
      const wanted = this.#needed === 0 ? 4 - this.#bytes : this.#needed - this.#bytes;
      const part = rest.length <= wanted ? rest : rest.subarray(0, wanted);
      this.#chunks.push(part);
      this.#bytes += part.length;
      rest = rest.subarray(part.length);
      if (this.#needed === 0 && this.#bytes === 4) this.#needed = 4 + checkedLength(Buffer.concat(this.#chunks).readInt32BE(0));
      if (this.#needed !== 0 && this.#bytes === this.#needed) {
        const whole = Buffer.concat(this.#chunks, this.#bytes);
        this.#chunks = [];
        this.#bytes = 0;
        this.#needed = 0;
        onFrame(decodeFrame(whole));
      }
    }
  }
}

function checkedLength(length: number): number {
  if (length < 4 || length > FRAME_BYTES_MAX) throw broken(`a frame of ${length} bytes`);
  return length;
}

function decodeFrame(frame: Buffer): Frame {
  const word = frame.readInt32BE(4);
  const serializer = word >>> 24;
  const headerBytes = word & 0xffffff;
  if (PREFIX_BYTES + headerBytes > frame.length) throw broken(`a header of ${headerBytes} bytes in a frame of ${frame.length}`);
  const header = frame.subarray(PREFIX_BYTES, PREFIX_BYTES + headerBytes);
  const body = frame.subarray(PREFIX_BYTES + headerBytes);
  switch (serializer) {
    case JSON_SERIALIZER:
      return { ...jsonHeader(header), body };
    case BINARY_SERIALIZER:
      return { ...binaryHeader(header), body };
    default:
      throw broken(`header serializer ${serializer}`);
  }
}

type Header = Omit<Frame, 'body'>;

function jsonHeader(header: Buffer): Header {
  let parsed: unknown;
  try {
    parsed = JSON.parse(header.toString('utf8'));
  } catch (error) {
    throw broken('a header that is not JSON', error);
  }
  if (typeof parsed !== 'object' || parsed === null) throw broken('a header that is no object');
  const { code, opaque, flag, remark, version, extFields } = parsed as Record<string, unknown>;
  if (typeof code !== 'number' || typeof opaque !== 'number') throw broken('a header without code or opaque');
  const flags = typeof flag === 'number' ? flag : 0;
  return {
    code,
    opaque,
    response: (flags & RESPONSE_FLAG) !== 0,
    oneway: (flags & ONEWAY_FLAG) !== 0,
    remark: typeof remark === 'string' ? remark : '',
    version: typeof version === 'number' ? version : 0,
    fields: typeof extFields === 'object' && extFields !== null ? (extFields as Record<string, string>) : {},
  };
}

/**
 * The ROCKETMQ serializer (RocketMQSerializable): int16 code, int8 language, int16 version, int32 opaque, int32 flag, int32 remark
 * length, remark, int32 length of the fields, fields as (int16 length, name, int32 length, value).
 */
function binaryHeader(header: Buffer): Header {
  try {
    const flag = header.readInt32BE(9);
    const remarkBytes = header.readInt32BE(13);
    let at = 17 + checkedPart(remarkBytes, header.length - 17);
    const remark = header.toString('utf8', 17, at);
    const end = at + 4 + checkedPart(header.readInt32BE(at), header.length - at - 4);
    at += 4;
    const fields: Record<string, string> = {};
    while (at < end) {
      const nameEnd = at + 2 + checkedPart(header.readInt16BE(at), end - at - 2);
      const name = header.toString('utf8', at + 2, nameEnd);
      const valueEnd = nameEnd + 4 + checkedPart(header.readInt32BE(nameEnd), end - nameEnd - 4);
      fields[name] = header.toString('utf8', nameEnd + 4, valueEnd);
      at = valueEnd;
    }
    return {
      code: header.readInt16BE(0),
      opaque: header.readInt32BE(5),
      response: (flag & RESPONSE_FLAG) !== 0,
      oneway: (flag & ONEWAY_FLAG) !== 0,
      remark,
      version: header.readInt16BE(3),
      fields,
    };
  } catch (error) {
    if (error instanceof RangeError) throw broken('a header that ends too early', error);
    throw error;
  }
}

function checkedPart(length: number, room: number): number {
  if (length < 0 || length > room) throw broken('a header field that does not fit');
  return length;
}

function broken(what: string, cause?: unknown): FatalError {
  return new FatalError(`the peer sent ${what}: it does not speak RocketMQ's remoting protocol`, {
    code: 'REMOTING_PROTOCOL',
    remedy: 'Check the address: the port of a name server or broker is meant, not the gRPC port of a proxy.',
    cause,
  });
}
