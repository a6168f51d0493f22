import type { ErrorDetail } from '@rocketmq-connect/proto/common';
import { ConnectError, type ErrorKind, fromPlainError, toPlainError } from '@rocketmq-connect/sdk';

/** What crosses the wire of a thrown value: everything a caller can act on, never a stack. */
export function toErrorDetail(error: unknown): ErrorDetail {
  const { kind, code, message, field = '', remedy = '', fields = [] } = toPlainError(error);
  return { kind, code, message, field, remedy, fields: [...fields] };
}

/** The error as the caller sees it. `kind` is the status' one where the detail names none we know. */
export function fromErrorDetail(detail: ErrorDetail, statusKind: ErrorKind = 'fatal'): ConnectError {
  const kind = kinds.find((known) => known === detail.kind) ?? statusKind;
  return fromPlainError({
    name: names[kind] ?? 'ConnectError',
    kind,
    code: detail.code,
    message: detail.message,
    ...(detail.field === '' ? {} : { field: detail.field }),
    ...(detail.remedy === '' ? {} : { remedy: detail.remedy }),
    ...(detail.fields.length === 0 ? {} : { fields: detail.fields }),
  });
}

export function unavailable(code: string, message: string, remedy?: string): ConnectError {
  return new ConnectError('unavailable', message, remedy === undefined ? { code } : { code, remedy });
}

const kinds: readonly ErrorKind[] = ['retriable', 'data', 'config', 'fatal', 'notFound', 'conflict', 'denied', 'unavailable'];

const names: Partial<Record<ErrorKind, string>> = {
  retriable: 'RetriableError',
  data: 'DataError',
  config: 'ConfigError',
  fatal: 'FatalError',
};
