import { DataError } from '@rocketmq-connect/sdk';

/** Digits such as `-12.30` as the unscaled number in Java's bytes (two's complement, big endian). */
export function decimalToBytes(digits: string, scale: number): Buffer {
  return bytesOf(unscaled(digits, scale));
}

/** The inverse: exactly `scale` digits after the point (a negative scale adds zeros before it). */
export function decimalFromBytes(bytes: Buffer, scale: number): string {
  return scaled(integerOf(bytes), scale);
}

/** Any decimal notation, exponents too, as digits with exactly `scale` places; refuses to lose digits. */
export function normalizeDecimal(text: string, scale: number): string {
  return scaled(unscaled(text, scale), scale);
}

const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,5}))?$/;

function unscaled(text: string, scale: number): bigint {
  const match = DECIMAL.exec(text);
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match ?? [];
  if (match === null || whole + fraction === '') throw new DataError(`${text} is not a decimal number`, { code: 'NOT_A_DECIMAL' });
  const shift = scale + Number(exponent) - fraction.length;
  let number = BigInt(whole + fraction);
  if (shift >= 0) {
    number *= 10n ** BigInt(shift);
  } else {
    const divisor = 10n ** BigInt(-shift);
    if (number % divisor !== 0n)
      throw new DataError(`${text} has more digits than its schema's scale ${scale} holds`, { code: 'NOT_A_DECIMAL' });
    number /= divisor;
  }
  return sign === '-' ? -number : number;
}

function scaled(number: bigint, scale: number): string {
  if (scale <= 0) return (number * 10n ** BigInt(-scale)).toString();
  const digits = (number < 0n ? -number : number).toString().padStart(scale + 1, '0');
  return `${number < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function bytesOf(number: bigint): Buffer {
  let length = 1;
  while (BigInt.asIntN(length * 8, number) !== number) length++;
  return Buffer.from(
    BigInt.asUintN(length * 8, number)
      .toString(16)
      .padStart(length * 2, '0'),
    'hex',
  );
}

function integerOf(bytes: Buffer): bigint {
  if (bytes.length === 0) throw new DataError('a decimal has no bytes', { code: 'NOT_A_DECIMAL' });
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`));
}
