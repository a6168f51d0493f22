import { ConnectError, type ErrorKind } from '@rocketmq-connect/sdk';

export interface ConnectorInfo {
  readonly name: string;
  readonly config: Readonly<Record<string, string>>;
  readonly tasks: readonly { readonly connector: string; readonly task: number }[];
  readonly type: string;
}

interface UnitStatus {
  readonly state: string;
  readonly worker_id: string;
  readonly trace?: string;
}

interface TaskLedger {
  readonly polled: number;
  readonly acknowledged: number;
  readonly deduplicated: number;
  readonly filtered: number;
  readonly dead_lettered: number;
  readonly skipped: number;
  readonly in_flight: number;
  readonly imbalance: number;
  readonly lag: number | null;
}

export interface ConnectorStatus {
  readonly name: string;
  readonly type: string;
  readonly connector: UnitStatus;
  readonly tasks: readonly (UnitStatus & { readonly id: number; readonly ledger?: TaskLedger | null })[];
}

/** Talks to the REST gateway. Failures reject with `ConnectError`: notFound, conflict, config, or unavailable when it cannot be reached. */
export class GatewayClient {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url.replace(/\/+$/, '');
  }

  async request<T>(method: string, path: string, body?: unknown): Promise<T> {
    let response: Response;
    try {
      response = await fetch(this.#url + path, {
        method,
        signal: AbortSignal.timeout(30_000),
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
    } catch (error) {
      throw new ConnectError('unavailable', `cannot reach the gateway at ${this.#url}: ${reason(error)}`, {
        code: 'GATEWAY_UNREACHABLE',
        remedy: 'start it (npm start), or name it with --url or RMQC_URL',
        cause: error,
      });
    }
    const text = await response.text();
    if (!response.ok) throw responseError(response.status, text);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }
}

export function connectorPath(name: string, rest = ''): string {
  return `/connectors/${encodeURIComponent(name)}${rest}`;
}

function responseError(status: number, text: string): ConnectError {
  let body: { message?: string; field?: string; remedy?: string } = {};
  try {
    body = JSON.parse(text);
  } catch {
    body = { message: text.slice(0, 500) };
  }
  return new ConnectError(kindOf(status), body.message ?? `the gateway answered ${status}`, {
    code: `HTTP_${status}`,
    ...(body.field === undefined ? {} : { field: body.field }),
    ...(body.remedy === undefined ? {} : { remedy: body.remedy }),
  });
}

function kindOf(status: number): ErrorKind {
  if (status === 404) return 'notFound';
  if (status === 409 || status === 412) return 'conflict';
  if (status === 401 || status === 403) return 'denied';
  if (status === 503 || status === 504) return 'unavailable';
  return status < 500 ? 'config' : 'fatal';
}

function reason(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error && 'code' in cause) return String(cause.code);
  return error instanceof Error ? error.message : String(error);
}
