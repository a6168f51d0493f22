import { ConnectError } from '@rocketmq-connect/sdk';

/** What one look found. */
export interface Finding {
  /** What was looked at: `etcd 127.0.0.1:2379`, `plugins`. */
  readonly check: string;
  readonly state: 'ok' | 'warning' | 'failed';
  readonly detail: string;
  /** What to do, where something is wrong. */
  readonly remedy?: string;
}

export function ok(check: string, detail: string): Finding {
  return { check, state: 'ok', detail };
}

export function warning(check: string, detail: string, remedy: string): Finding {
  return { check, state: 'warning', detail, remedy };
}

export function failed(check: string, detail: string, remedy: string): Finding {
  return { check, state: 'failed', detail, remedy };
}

/** An error of the family says what to do itself. */
export function failedOf(check: string, error: unknown, remedy: string): Finding {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof ConnectError)) return failed(check, message, remedy);
  return failed(check, error.field === undefined ? message : `${message} (${error.field})`, error.remedy ?? remedy);
}
