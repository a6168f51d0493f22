import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

export interface OtherClusterOptions {
  /** From this port on, counted from the first one of the plain cluster. */
  readonly portOffset: number;
  /** Where its servers listen; 127.0.0.1 by default. */
  readonly host?: string;
  /** As `ROCKETMQ_BROKERS`. */
  readonly brokers?: string;
  /** Lines for the configuration of its brokers. */
  readonly brokerConf?: readonly string[];
  readonly javaOptions?: readonly string[];
  /** For mqadmin, where the cluster asks who it is. */
  readonly admin?: { readonly accessKey: string; readonly secretKey: string };
}

/** A cluster of its own, without a proxy and without a past, beside the plain one. */
export class OtherCluster {
  readonly nameServer: string;
  readonly #directory: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(name: string, options: OtherClusterOptions) {
    const port = FIRST_PORT + options.portOffset;
    const { host = '127.0.0.1' } = options;
    this.nameServer = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    this.#directory = `${DIRECTORY}-${name}`;
    this.#env = {
      ...process.env,
      ROCKETMQ_DIR: this.#directory,
      ROCKETMQ_LIB: join(DIRECTORY, `lib-${process.env['ROCKETMQ_VERSION'] ?? '5.4.0'}`),
      ROCKETMQ_PORT: String(port),
      ROCKETMQ_HOST: host,
      ROCKETMQ_PROXY: 'no',
      ROCKETMQ_BROKERS: options.brokers ?? 'broker-a',
      ROCKETMQ_BROKER_CONF: options.brokerConf?.join('\n') ?? '',
      ROCKETMQ_JAVA_OPTIONS: options.javaOptions?.join(' ') ?? '',
    };
  }

  /** The jars are those of the plain cluster, which must have run once. */
  static async start(name: string, options: OtherClusterOptions): Promise<OtherCluster> {
    const cluster = new OtherCluster(name, options);
    await cluster.#script('down');
    rmSync(cluster.#directory, { recursive: true, force: true });
    mkdirSync(join(cluster.#directory, 'home', 'conf'), { recursive: true });
    if (options.admin !== undefined) {
      const { accessKey, secretKey } = options.admin;
      writeFileSync(join(cluster.#directory, 'home', 'conf', 'tools.yml'), `accessKey: ${accessKey}\nsecretKey: ${secretKey}\n`);
    }
    await cluster.up();
    return cluster;
  }

  /** Starts those of its servers that do not run. */
  async up(): Promise<void> {
    await this.#script('up');
  }

  mqadmin(...args: readonly string[]): Promise<string> {
    return this.#script('admin', ...args);
  }

  /** `broker` is the first one; others are named like `broker-a.1` and `broker-b`. */
  kill(server: string): Promise<void> {
    return killServer(this.#directory, server);
  }

  signal(server: string, signal: 'SIGSTOP' | 'SIGCONT'): void {
    process.kill(pidOf(this.#directory, server), signal);
  }

  async stop(): Promise<void> {
    await this.#script('down');
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #script(...args: readonly string[]): Promise<string> {
    return (await promisify(execFile)(SCRIPT, args, { env: this.#env })).stdout;
  }
}

/** As a crash would. Resolves when it is gone. */
export function killRocketmq(server: 'broker' | 'namesrv' | 'proxy'): Promise<void> {
  return killServer(DIRECTORY, server);
}

async function killServer(directory: string, server: string): Promise<void> {
  const pid = pidOf(directory, server);
  process.kill(pid, 'SIGKILL');
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
}

function pidOf(directory: string, server: string): number {
  return Number(readFileSync(join(directory, `${server}.pid`), 'utf8'));
}

/** For rounds of faults. `freeze`: nothing is answered any more, and no connection breaks. */
export const brokerVictim = {
  kill: () => killRocketmq('broker'),
  start: () => startRocketmq(),
  freeze: () => void process.kill(pidOf(DIRECTORY, 'broker'), 'SIGSTOP'),
  thaw: () => void process.kill(pidOf(DIRECTORY, 'broker'), 'SIGCONT'),
} as const;

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
