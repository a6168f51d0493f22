import { ConnectError, type ErrorKind } from '@rocketmq-connect/sdk';

/** An answer that is not a success, in Kafka Connect's body with what we know beyond: `field`, `remedy`, `fields`. */
export class Problem extends Error {
  readonly status: number;
  readonly extra: ProblemExtra;

  constructor(status: number, message: string, extra: ProblemExtra) {
    super(message);
    this.name = 'Problem';
    this.status = status;
    this.extra = extra;
  }
}

interface ProblemExtra {
  readonly field?: string | undefined;
  readonly remedy?: string | undefined;
  readonly fields?: readonly { readonly field: string; readonly message: string }[];
  readonly headers?: Readonly<Record<string, string>>;
}

export function problem(status: number, message: string, extra: ProblemExtra = {}): Problem {
  return new Problem(status, message, extra);
}

export function notFound(): Problem {
  return problem(404, 'HTTP 404 Not Found');
}

/** What is wrong with one field of what the caller sent. */
export function badField(field: string, message: string, remedy?: string): Problem {
  return problem(400, message, { field, remedy });
}

export function problemBody({ status, message, extra }: Problem): Readonly<Record<string, unknown>> {
  const { field, remedy, fields } = extra;
  return {
    error_code: status,
    message,
    ...(field === undefined ? {} : { field }),
    ...(remedy === undefined ? {} : { remedy }),
    ...(fields === undefined || fields.length === 0 ? {} : { fields }),
  };
}

/** Any error as an answer; what is not of the family is a fault of ours, and its text stays in our logs. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof ConnectError) {
    const { field, remedy, fields } = error;
    return problem(statusOf(error), error.message, { field, remedy, fields });
  }
  if (isHttpError(error)) return httpProblem(error);
  return problem(500, 'the gateway failed unexpectedly', { remedy: 'look into the log of the gateway' });
}

const statuses: Readonly<Record<ErrorKind, number>> = {
  config: 400,
  data: 400,
  notFound: 404,
  conflict: 409,
  denied: 403,
  unavailable: 503,
  retriable: 503,
  fatal: 500,
};

function statusOf({ kind, code }: ConnectError): number {
  if (code === 'DEADLINE_EXCEEDED') return 504;
  if (code === 'RESOURCE_EXHAUSTED') return 413;
  if (code === 'UNAUTHENTICATED') return 401;
  if (code === 'UNIMPLEMENTED') return 501;
  return statuses[kind];
}

interface HttpError extends Error {
  readonly statusCode: number;
  readonly code?: string;
}

function isHttpError(error: unknown): error is HttpError {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' && error.statusCode < 500;
}

function httpProblem({ statusCode, code, message }: HttpError): Problem {
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return problem(413, 'the body is larger than 1 MiB', { remedy: 'send a smaller body' });
  return problem(statusCode, message);
}
