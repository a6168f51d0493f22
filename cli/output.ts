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

/** One error for people (message, field, remedy) or, with `--json`, as an object on standard error. */
export function printError(error: unknown, json: boolean): void {
  const message = error instanceof Error ? error.message : String(error);
  const field = error instanceof ConnectError ? error.field : undefined;
  const remedy = error instanceof ConnectError ? error.remedy : undefined;
  if (json) {
    const code = error instanceof ConnectError ? error.code : 'UNEXPECTED';
    process.stderr.write(`${JSON.stringify({ error: { code, message, field, remedy } })}\n`);
    return;
  }
  process.stderr.write(`${pc.red('error:')} ${message}\n`);
  if (field !== undefined) process.stderr.write(`  ${pc.dim('at:')} ${field}\n`);
  if (remedy !== undefined) process.stderr.write(`  ${pc.dim('try:')} ${remedy}\n`);
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
