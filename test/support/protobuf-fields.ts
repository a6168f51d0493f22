/** The fields of a protobuf message by their numbers, without a schema: the reader says what it takes them for. */
export interface ProtoFields {
  has(field: number): boolean;
  text(field: number): string;
  hex(field: number): string;
  /** Of varints and fixed integers; 0 where it is absent. */
  number(field: number): bigint;
  double(field: number): number;
  messages(field: number): ProtoFields[];
}

/** Throws `RangeError` for bytes that are no message. */
export function fieldsOf(bytes: Buffer): ProtoFields {
  const values = new Map<number, (bigint | Buffer)[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const slice = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError(`a field of ${length} bytes ends beyond the message`);
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const field = Number(tag >> 3n);
    const value = readValue(Number(tag & 7n), varint, slice);
    values.set(field, [...(values.get(field) ?? []), value]);
  }
  const last = (field: number): bigint | Buffer | undefined => values.get(field)?.at(-1);
  const buffer = (field: number): Buffer => {
    const value = last(field);
    return Buffer.isBuffer(value) ? value : Buffer.alloc(0);
  };
  return {
    has: (field) => values.has(field),
    text: (field) => buffer(field).toString('utf8'),
    hex: (field) => buffer(field).toString('hex'),
    number: (field) => {
      const value = last(field) ?? 0n;
      return typeof value === 'bigint' ? value : littleEndian(value);
    },
    double: (field) => buffer(field).readDoubleLE(),
    messages: (field) => (values.get(field) ?? []).map((value) => fieldsOf(value as Buffer)),
  };
}

function readValue(wireType: number, varint: () => bigint, slice: (length: number) => Buffer): bigint | Buffer {
  switch (wireType) {
    case 0:
      return varint();
    case 1:
      return slice(8);
    case 2:
      return slice(Number(varint()));
    case 5:
      return slice(4);
    default:
      throw new RangeError(`there is no wire type ${wireType}`);
  }
}

function littleEndian(bytes: Buffer): bigint {
  return bytes.length === 8 ? bytes.readBigUInt64LE() : BigInt(bytes.readUInt32LE());
}
