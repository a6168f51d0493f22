import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** The script of `rocketmq-connect` of this tree. */
export const BIN = new URL('../../cli/bin/rocketmq-connect.js', import.meta.url).pathname;

/** A real `rocketmq-connect standalone` in a process of its own, on free ports. */
export interface StandaloneProcess {
  readonly url: string;
  readonly grpcAddress: string;
  readonly child: ChildProcess;
  /** What it printed so far, both streams. */
  output(): string;
  /** SIGINT; resolves to the exit code. */
  interrupt(): Promise<number | null>;
  /** kill -9. */
  kill(): Promise<void>;
  request<T>(method: string, path: string, body?: unknown): Promise<T>;
}

export interface StandaloneOptions {
  /** The command; by default that of this tree. */
  readonly bin?: string;
  readonly dataDir: string;
  readonly cwd: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts it and waits until it is ready. Rejects with its output when it ends before. */
export async function startStandalone(options: StandaloneOptions): Promise<StandaloneProcess> {
  const run = spawnStandalone(options);
  await waitFor(() => /gRPC +\S+ +data/.test(run.output()) || run.child.exitCode !== null, `it is ready:\n${run.output()}`, 180_000);
  const [, url = ''] = /REST +(http\S+)/.exec(run.output()) ?? [];
  const [, grpcAddress = ''] = /gRPC +(\S+)/.exec(run.output()) ?? [];
  if (url === '') throw new Error(`it ended with code ${run.child.exitCode}:\n${run.output()}`);
  return {
    ...run,
    url,
    grpcAddress,
    request: async (method, path, body) => {
      const response = await fetch(url + path, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
      return text === '' ? undefined : JSON.parse(text);
    },
  };
}

/** Starts it without waiting. */
export function spawnStandalone({
  bin = BIN,
  dataDir,
  cwd,
  args = [],
  env = {},
}: StandaloneOptions): Pick<StandaloneProcess, 'child' | 'output' | 'interrupt' | 'kill'> {
  const child = spawn(process.execPath, [bin, 'standalone', '--data-dir', dataDir, '--rest-port', '0', '--grpc-port', '0', ...args], {
    cwd,
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(child, 'exit');
  return {
    child,
    output: () => output,
    interrupt: async () => {
      child.kill('SIGINT');
      await ended;
      return child.exitCode;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Waits for a condition; fails with what was expected. */
export async function waitFor(condition: () => boolean | Promise<boolean>, what: string, limitMs = 20_000): Promise<void> {
  const until = performance.now() + limitMs;
  for (;;) {
    if (await condition()) return;
    if (performance.now() > until) throw new Error(`did not happen in ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** As the deadlines of a runner are measured: the same in all threads and processes of a machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
