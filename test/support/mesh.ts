import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { ListUnitsResponse, type Unit } from '@rocketmq-connect/proto/cluster';
import { BIN, waitFor } from './standalone.ts';

export type ServiceKind = 'config-service' | 'scheduler' | 'task-runner' | 'gateway';

/** One real process of a mesh. */
export interface MeshProcess {
  readonly kind: ServiceKind;
  readonly id: string;
  readonly child: ChildProcess;
  /** `host:port` of its gRPC. */
  readonly grpc: string;
  /** Of a gateway, else ''. */
  readonly url: string;
  readonly alive: boolean;
  /** What it printed so far, both streams. */
  output(): string;
  /** Sends a signal and, unless it only stops or continues the process, waits for its end; resolves to the exit code. */
  signal(name: NodeJS.Signals): Promise<number | null>;
}

export interface MeshOptions {
  readonly etcd: readonly string[];
  readonly nameServer: string;
  readonly cluster: string;
  readonly folder: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export const LEASE_TTL_MS = Number(process.env['LEASE_TTL_MS'] ?? 5_000);

/** Config-services, schedulers, task runners and gateways as child processes of a test, on one etcd and one RocketMQ. */
export class Mesh {
  readonly #options: MeshOptions;
  readonly #processes: MeshProcess[] = [];
  /** The script that processes run that are started from now on: `rocketmq-connect` of this tree, or of another version. */
  bin = BIN;

  constructor(options: MeshOptions) {
    this.#options = options;
  }

  /** Starts so many of each, one replica of each kind at a time: config-services `c1`, `c2`, …, schedulers `s…`, runners `t…`, gateways `g…`. */
  async start(counts: Readonly<Partial<Record<ServiceKind, number>>>): Promise<void> {
    const wanted = Object.entries(counts) as [ServiceKind, number][];
    for (let i = 1; wanted.some(([, count]) => count >= i); i++) {
      await Promise.all(wanted.filter(([, count]) => count >= i).map(([kind]) => this.add(kind, `${kind.charAt(0)}${i}`)));
    }
  }

  /** Starts one more; resolves when it is ready. Rejects with its output when it ends before. */
  async add(kind: ServiceKind, id: string, ...args: string[]): Promise<MeshProcess> {
    const { etcd, nameServer, cluster, folder } = this.#options;
    const flags = {
      id,
      cluster,
      etcd: etcd.join(','),
      'rocketmq-namesrv': nameServer,
      'grpc-port': '0',
      'rest-port': '0',
      'log-format': 'json',
      'lease-ttl-ms': String(LEASE_TTL_MS),
      'offsets-commit-interval-ms': '200',
    };
    const given = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
    const all = [this.bin, kind, ...given, ...(this.#options.args ?? []), ...args];
    const env = { PATH: process.env['PATH'], ...this.#options.env };
    const child = spawn(process.execPath, all, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const ended = once(child, 'exit');
    const isAlive = (): boolean => child.exitCode === null && child.signalCode === null;
    const found = (pattern: RegExp): string => pattern.exec(output)?.[1] ?? '';
    const started: MeshProcess = {
      kind,
      id,
      child,
      get grpc() {
        return found(/"grpc":"([^"]+)"/);
      },
      get url() {
        return found(/"url":"([^"]+)"/);
      },
      get alive() {
        return isAlive();
      },
      output: () => output,
      signal: async (name) => {
        child.kill(name);
        if (name !== 'SIGSTOP' && name !== 'SIGCONT') await ended;
        return child.exitCode;
      },
    };
    this.#processes.push(started);
    await waitFor(() => started.grpc !== '' || !isAlive(), `${kind} ${id} is ready`, 60_000).catch((error: Error) => {
      throw new Error(`${error.message}\n${output}`);
    });
    if (!isAlive()) throw new Error(`${kind} ${id} ended with code ${child.exitCode}:\n${output}`);
    return started;
  }

  /** The living processes of a kind, in the order of their starts. */
  all(kind: ServiceKind): MeshProcess[] {
    return this.#processes.filter((each) => each.kind === kind && each.alive);
  }

  get(id: string): MeshProcess {
    const found = this.#processes.findLast((each) => each.id === id);
    if (found === undefined) throw new Error(`no process ${id}`);
    return found;
  }

  /** Asks a gateway, the first unless told which. Rejects with status and body of an error. */
  async request<T>(method: string, path: string, body?: unknown, gateway = this.all('gateway')[0]): Promise<T> {
    const response = await fetch((gateway?.url ?? '') + path, {
      method,
      signal: AbortSignal.timeout(30_000),
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** Runs a command line against a gateway; resolves to what it printed, rejects when it fails. */
  async cli(...args: string[]): Promise<string> {
    const env = { PATH: process.env['PATH'], RMQC_URL: this.all('gateway')[0]?.url };
    return (await promisify(execFile)(process.execPath, [BIN, ...args], { env })).stdout;
  }

  async connector(name: string, config: Readonly<Record<string, string>>): Promise<void> {
    await this.request('POST', '/connectors', { name, config });
  }

  async units(): Promise<Unit[]> {
    return ListUnitsResponse.fromJSON(await this.request('GET', '/v1/units')).units;
  }

  /** Waits until so many tasks of each connector, and its instance, are RUNNING, on their targets; resolves to all units. */
  async running(tasks: Readonly<Record<string, number>>, limitMs = 60_000): Promise<Unit[]> {
    let units: Unit[] = [];
    const what = (): string =>
      `${JSON.stringify(tasks)} run; now ${units.map((u) => `${u.id} ${u.state} ${u.ownerRunner}→${u.targetRunner}`)}`;
    const isSo = async (): Promise<boolean> => {
      // A gateway or scheduler that was just killed may still be asked.
      units = await this.units().catch(() => []);
      return Object.entries(tasks).every(([name, count]) => {
        const own = units.filter(({ connector, state, ownerRunner, targetRunner }) => {
          return connector === name && state === 'UNIT_STATE_RUNNING' && ownerRunner === targetRunner;
        });
        return own.length === count + 1;
      });
    };
    await waitFor(isSo, 'units run', limitMs).catch((error: Error) => {
      throw new Error(`${error.message}: ${what()}`);
    });
    return units;
  }

  /** Ends everything, with SIGTERM and at last with SIGKILL; runners first, for they commit through config-services. */
  async stop(): Promise<void> {
    const living = this.#processes.filter(({ alive }) => alive);
    await Promise.all(living.filter(({ kind }) => kind === 'task-runner').map(endOf));
    await Promise.all(living.filter(({ kind }) => kind !== 'task-runner').map(endOf));
  }

  /** Of every process, for a failed test. */
  outputs(): string {
    return this.#processes.map(({ kind, id, output }) => `--- ${kind} ${id}\n${output()}`).join('\n');
  }
}

async function endOf(process: MeshProcess): Promise<void> {
  process.child.kill('SIGCONT');
  const late = setTimeout(() => process.child.kill('SIGKILL'), 20_000);
  await process.signal('SIGTERM');
  clearTimeout(late);
}
