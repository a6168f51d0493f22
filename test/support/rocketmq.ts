import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SCRIPT = fileURLToPath(new URL('../../scripts/rocketmq', import.meta.url));
const FIRST_PORT = Number(process.env['ROCKETMQ_PORT'] ?? 19_876);
const DIRECTORY = process.env['ROCKETMQ_DIR'] ?? join(tmpdir(), 'rocketmq-connect', 'rocketmq');

/** Where `scripts/rocketmq` lets the servers listen. */
export const rocketmq = {
  nameServer: `127.0.0.1:${FIRST_PORT}`,
  broker: `127.0.0.1:${FIRST_PORT + 10}`,
  proxy: `127.0.0.1:${FIRST_PORT + 20}`,
  proxyGrpc: `127.0.0.1:${FIRST_PORT + 21}`,
} as const;

/** For a `before` hook: real servers are up, started if they are not. Fetching their jars for the first time takes minutes. */
export async function useRocketmq(context: Mocha.Context): Promise<void> {
  context.timeout(600_000);
  const running = await Promise.all(Object.values(rocketmq).map(answers));
  if (running.every(Boolean)) return;
  await startRocketmq();
  startedHere = true;
}

/** Starts those that do not run; the broker with its data in `store`. */
export async function startRocketmq(store?: string): Promise<void> {
  await promisify(execFile)(SCRIPT, ['up'], store === undefined ? {} : { env: { ...process.env, ROCKETMQ_STORE: store } });
}

/** RocketMQ's own tool; what it prints. */
export async function mqadmin(...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)(SCRIPT, ['admin', ...args])).stdout;
}

/** As a crash would. Resolves when it is gone. */
export async function killRocketmq(server: 'broker' | 'namesrv' | 'proxy'): Promise<void> {
  const pid = Number(readFileSync(join(DIRECTORY, `${server}.pid`), 'utf8'));
  process.kill(pid, 'SIGKILL');
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** For rounds of kills. */
export const brokerVictim = { kill: () => killRocketmq('broker'), start: () => startRocketmq() } as const;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

let startedHere = false;

// A root hook: several suites use the same servers.
after(async function () {
  if (!startedHere) return;
  this.timeout(60_000);
  await promisify(execFile)(SCRIPT, ['down']);
});

function answers(address: string): Promise<boolean> {
  const [host = '', port] = address.split(':');
  return new Promise((resolve) => {
    const socket = connect(Number(port), host);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
