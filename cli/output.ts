import { ConnectError } from '@rocketmq-connect/sdk';
import pc from 'picocolors';

/** What scripts can rely on; documented in docs/cli.md. */
export const ExitCode = { ok: 0, failed: 1, usage: 2, notFound: 3, unreachable: 4 } as const;

export function exitCodeOf(error: unknown): number {
  if (!(error instanceof ConnectError)) return ExitCode.failed;
  switch (error.kind) {
    case 'notFound':
      return ExitCode.notFound;
    case 'unavailable':
      return ExitCode.unreachable;
    case 'config':
    case 'conflict':
    case 'data':
    case 'denied':
    case 'fatal':
    case 'retriable':
      return ExitCode.failed;
  }
}

export interface PlainError {
  readonly code: string;
  readonly message: string;
  readonly field?: string;
  readonly remedy?: string;
}

/** An error as `--json` shows it. */
export function plainError(error: unknown): PlainError {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof ConnectError)) return { code: 'UNEXPECTED', message };
  const { code, field, remedy } = error;
  return { code, message, ...(field === undefined ? {} : { field }), ...(remedy === undefined ? {} : { remedy }) };
}

/** One error for people (what it is about, message, field, remedy) or, with `json`, as an object on standard error. */
export function printError(error: unknown, json: boolean, subject?: string): void {
  const plain = plainError(error);
  if (json) {
    process.stderr.write(`${JSON.stringify({ error: { ...plain, ...(subject === undefined ? {} : { connector: subject }) } })}\n`);
    return;
  }
  process.stderr.write(`${pc.red('error:')} ${subject === undefined ? '' : `${subject}: `}${plain.message}\n`);
  if (plain.field !== undefined) process.stderr.write(`  ${pc.dim('at:')} ${plain.field}\n`);
  if (plain.remedy !== undefined) process.stderr.write(`  ${pc.dim('try:')} ${plain.remedy}\n`);
}

/** Something strange that is no error; on standard error, so that output stays as scripts expect it. */
export function printWarning(text: string): void {
  process.stderr.write(`${pc.yellow('warning:')} ${text}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

export function printLine(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function stateColor(state: string): string {
  switch (state) {
    case 'RUNNING':
      return pc.green(state);
    case 'FAILED':
      return pc.red(state);
    case 'PAUSED':
    case 'STOPPED':
      return pc.yellow(state);
    default:
      return pc.dim(state);
  }
}
