import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import { ErrorDetail } from '@rocketmq-connect/proto/common';
import type { ConnectError, ErrorKind } from '@rocketmq-connect/sdk';
import { fromErrorDetail, OLDER_PEER, toErrorDetail } from './error-detail.ts';

/** The one table between the error family and gRPC: first match wins; the first row of a status says what it means without details. */
const rows: readonly { readonly kind: ErrorKind; readonly code?: RegExp; readonly status: status }[] = [
  { kind: 'config', status: status.INVALID_ARGUMENT },
  { kind: 'data', status: status.INVALID_ARGUMENT },
  { kind: 'notFound', status: status.NOT_FOUND },
  { kind: 'conflict', code: /EXISTS$/, status: status.ALREADY_EXISTS },
  { kind: 'conflict', code: /^(ABORTED|CONFLICT)$/, status: status.ABORTED },
  { kind: 'conflict', status: status.FAILED_PRECONDITION },
  { kind: 'denied', code: /^UNAUTHENTICATED$/, status: status.UNAUTHENTICATED },
  { kind: 'denied', status: status.PERMISSION_DENIED },
  { kind: 'unavailable', code: /^DEADLINE_EXCEEDED$/, status: status.DEADLINE_EXCEEDED },
  { kind: 'unavailable', code: /^CANCELLED$/, status: status.CANCELLED },
  { kind: 'unavailable', status: status.UNAVAILABLE },
  { kind: 'retriable', status: status.UNAVAILABLE },
  { kind: 'fatal', code: /^UNIMPLEMENTED$/, status: status.UNIMPLEMENTED },
  { kind: 'fatal', status: status.INTERNAL },
  { kind: 'data', code: /^RESOURCE_EXHAUSTED$/, status: status.RESOURCE_EXHAUSTED },
];

const DETAIL_HEADER = 'rmqc-error-bin';

/** What a server answers for a thrown value: the status, and the detail in a trailer. */
export function toStatus(error: unknown): { readonly code: status; readonly details: string; readonly metadata: Metadata } {
  const detail = toErrorDetail(error);
  const row = rows.find(({ kind, code }) => kind === detail.kind && (code === undefined || code.test(detail.code)));
  const metadata = new Metadata();
  metadata.set(DETAIL_HEADER, Buffer.from(ErrorDetail.encode(detail).finish()));
  // People see this text in grpcurl and logs, where the detail is not shown.
  const details = [detail.message, detail.remedy === '' ? '' : `(${detail.remedy})`].filter((part) => part !== '').join(' ');
  return { code: row?.status ?? status.INTERNAL, details: details.slice(0, 1_000), metadata };
}

/** What a caller gets for a status other than OK. */
export function fromStatus(path: string, endpoint: string, failed: ServiceError | StatusObject): ConnectError {
  const kind = rows.find((row) => row.status === failed.code)?.kind ?? 'fatal';
  const [bytes] = failed.metadata.get(DETAIL_HEADER);
  if (bytes instanceof Buffer) return fromErrorDetail(ErrorDetail.decode(bytes), kind);
  const code = status[failed.code] ?? 'UNKNOWN';
  const message = `${path} at ${endpoint}: ${failed.code === status.DEADLINE_EXCEEDED ? 'no answer within the deadline' : failed.details}`;
  const remedy = failed.code === status.UNIMPLEMENTED ? OLDER_PEER : '';
  return fromErrorDetail({ kind, code, message, field: '', remedy, fields: [] });
}

/** grpc-js' words for a call that never reached a connection, so that it may be tried elsewhere. */
export function neverSent(failed: StatusObject): boolean {
  return (
    failed.code === status.UNAVAILABLE && /No connection established|Name resolution failed|Channel closed before call/.test(failed.details)
  );
}
