/** What a caller needs to act on an error: a stable code, the place at fault and what to do. */
export interface ErrorContext {
  /** Stable upper-case code, e.g. `CONFIG_INVALID`. */
  readonly code?: string;
  /** The configuration key, body field or path at fault. */
  readonly field?: string;
  /** What to do about it. */
  readonly remedy?: string;
  /** Several fields at fault at once. */
  readonly fields?: readonly { readonly field: string; readonly message: string }[];
  readonly cause?: unknown;
}

export type ErrorKind = 'retriable' | 'data' | 'config' | 'fatal' | 'notFound' | 'conflict' | 'denied' | 'unavailable';

/**
 * The one error family. Decisions (retry, dead-letter, fail, HTTP and gRPC status) look at `kind` only; errors cross threads and
 * processes as plain data (`toPlainError` / `fromPlainError`), so never test with `instanceof` across such a border.
 */
export class ConnectError extends Error {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly field: string | undefined;
  readonly remedy: string | undefined;
  readonly fields: readonly { readonly field: string; readonly message: string }[];

  constructor(kind: ErrorKind, message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.name = 'ConnectError';
    this.kind = kind;
    this.code = context.code ?? kind.toUpperCase();
    this.field = context.field;
    this.remedy = context.remedy;
    this.fields = context.fields ?? [];
  }
}

/** The operation may succeed when tried again, as it is. */
export class RetriableError extends ConnectError {
  constructor(message: string, context?: ErrorContext) {
    super('retriable', message, context);
    this.name = 'RetriableError';
  }
}

/** One record cannot be processed; others can. Goes through `errors.tolerance`. */
export class DataError extends ConnectError {
  constructor(message: string, context?: ErrorContext) {
    super('data', message, context);
    this.name = 'DataError';
  }
}

/** The configuration is wrong; trying again does not help until it is changed. */
export class ConfigError extends ConnectError {
  constructor(message: string, context?: ErrorContext) {
    super('config', message, { code: 'CONFIG_INVALID', ...context });
    this.name = 'ConfigError';
  }
}

/** The task cannot go on. */
export class FatalError extends ConnectError {
  constructor(message: string, context?: ErrorContext) {
    super('fatal', message, context);
    this.name = 'FatalError';
  }
}

/** An error as plain data, for message ports, gRPC details and status keys. */
export interface PlainError {
  readonly name: string;
  readonly kind: ErrorKind;
  readonly code: string;
  readonly message: string;
  readonly stack?: string;
  readonly field?: string;
  readonly remedy?: string;
  readonly fields?: readonly { readonly field: string; readonly message: string }[];
}

/** Any thrown value as plain data; what is not of the family is `fatal` with code `UNEXPECTED`. */
export function toPlainError(error: unknown): PlainError {
  if (error instanceof ConnectError) {
    return {
      name: error.name,
      kind: error.kind,
      code: error.code,
      message: error.message,
      ...(error.stack === undefined ? {} : { stack: error.stack }),
      ...(error.field === undefined ? {} : { field: error.field }),
      ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
      ...(error.fields.length === 0 ? {} : { fields: error.fields }),
    };
  }
  if (error instanceof Error) {
    return {
      name: error.name,
      kind: 'fatal',
      code: 'UNEXPECTED',
      message: withCauses(error),
      ...(error.stack === undefined ? {} : { stack: error.stack }),
    };
  }
  return { name: 'Error', kind: 'fatal', code: 'UNEXPECTED', message: textOf(error) };
}

/** "fetch failed" alone tells nothing: what it was caused by does not cross threads otherwise. */
function withCauses(error: Error): string {
  const messages = [error.message];
  for (let cause = error.cause; cause instanceof Error && messages.length < 5; cause = cause.cause) messages.push(cause.message);
  return messages.filter((message) => message !== '').join(': caused by ');
}

/** Of anything that can be thrown, also of what refuses to be a text. */
function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return `an ${typeof value} that has no text`;
  }
}

/** The inverse of `toPlainError`. */
export function fromPlainError(plain: PlainError): ConnectError {
  const error = new ConnectError(plain.kind, plain.message, plain);
  error.name = plain.name;
  if (plain.stack !== undefined) error.stack = plain.stack;
  return error;
}
