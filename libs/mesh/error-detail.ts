import type { ErrorDetail } from '@rocketmq-connect/proto/common';
import { ConnectError, type ErrorKind, fromPlainError, toPlainError } from '@rocketmq-connect/sdk';

/**
 * What crosses the wire of a thrown value: everything a caller can act on, never a stack. Long texts are cut: a trailer larger than
 * what HTTP/2 peers take would turn a clear error into a broken connection.
 */
export function toErrorDetail(error: unknown): ErrorDetail {
  const { kind, code, message, field = '', remedy = '', fields = [] } = toPlainError(error);
  return {
    kind,
    code,
    message: cut(message, 3_000),
    field: cut(field, 300),
    remedy: cut(remedy, 600),
    fields: fields.slice(0, 20).map((at) => ({ field: cut(at.field, 100), message: cut(at.message, 200) })),
  };
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

/** Of a call that its peer does not know, so that nothing was done. */
export const OLDER_PEER = 'it runs an older version, which lacks this: upgrade it';

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

const kinds: readonly ErrorKind[] = ['retriable', 'data', 'config', 'fatal', 'notFound', 'conflict', 'denied', 'unavailable'];

const names: Partial<Record<ErrorKind, string>> = {
  retriable: 'RetriableError',
  data: 'DataError',
  config: 'ConfigError',
  fatal: 'FatalError',
};
