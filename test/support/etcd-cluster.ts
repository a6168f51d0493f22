import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { get as getTls } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Etcd3 } from 'etcd3';

const SCRIPT = fileURLToPath(new URL('../../scripts/etcd', import.meta.url));

export interface EtcdClusterOptions {
  readonly members?: number;
  readonly flags?: readonly string[];
  /** Files of PEM; clients must then show a certificate of the same authority when `mutual`. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string; readonly mutual: boolean };
}

/** An etcd cluster of one test: its own ports and folder, to be killed, frozen and filled at will. */
export class EtcdCluster {
  readonly members: readonly EtcdMember[];
  readonly #directory: string;

  static async start(options: EtcdClusterOptions = {}): Promise<EtcdCluster> {
    const path = (await promisify(execFile)(SCRIPT, ['path'])).stdout.trim();
    const directory = mkdtempSync(join(tmpdir(), 'etcd-cluster-'));
    const ports = await freePorts(2 * (options.members ?? 1));
    const scheme = options.tls === undefined ? 'http' : 'https';
    const names = Array.from({ length: options.members ?? 1 }, (_, i) => ({ name: `m${i}`, client: ports[2 * i], peer: ports[2 * i + 1] }));
    const initial = names.map(({ name, peer }) => `${name}=http://127.0.0.1:${peer}`).join(',');
    const members = names.map(({ name, client, peer }) => {
      const clientUrl = `${scheme}://127.0.0.1:${client}`;
      const peerUrl = `http://127.0.0.1:${peer}`;
      const flags = [
        ...['--name', name, '--data-dir', join(directory, name), '--initial-cluster', initial, '--initial-cluster-token', directory],
        ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
        ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl, '--log-level', 'error'],
        ...(options.tls === undefined ? [] : ['--cert-file', options.tls.cert, '--key-file', options.tls.key]),
        ...(options.tls?.mutual ? ['--client-cert-auth', '--trusted-ca-file', options.tls.ca] : []),
        ...(options.flags ?? []),
      ];
      return new EtcdMember(`127.0.0.1:${client}`, path, flags, options.tls);
    });
    const cluster = new EtcdCluster(members, directory);
    for (const member of members) member.launch();
    for (const member of members) await member.healthy();
    return cluster;
  }

  private constructor(members: readonly EtcdMember[], directory: string) {
    this.members = members;
    this.#directory = directory;
  }

  get endpoints(): readonly string[] {
    return this.members.map(({ address }) => address);
  }

  get first(): EtcdMember {
    const [member] = this.members;
    if (member === undefined) throw new Error('a cluster without members');
    return member;
  }

  /** The member that leads. */
  async leader(): Promise<EtcdMember> {
    for (;;) {
      for (const member of this.members) {
        const admin = new Etcd3({ hosts: member.address, defaultCallOptions: () => ({ deadline: Date.now() + 1_000 }) });
        const status = await admin.maintenance.status().catch(() => undefined);
        admin.close();
        if (status !== undefined && status.leader === status.header.member_id) return member;
      }
      await sleep(50);
    }
  }

  /** Every member dies, as in a crash. */
  async kill(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
  }

  /** Those that are gone come back; resolves when there is a leader. */
  async restart(): Promise<void> {
    for (const member of this.members) if (!member.alive) member.launch();
    for (const member of this.members) await member.healthy();
  }

  async revoke(leaseId: bigint): Promise<void> {
    const admin = new Etcd3({ hosts: this.first.address });
    await admin.leaseClient.leaseRevoke({ ID: String(leaseId) });
    admin.close();
  }

  /** How many leases there are. */
  async leases(): Promise<number> {
    const admin = new Etcd3({ hosts: this.first.address });
    const { leases } = await admin.leaseClient.leaseLeases();
    admin.close();
    return leases.length;
  }

  /** Forgets the history before a revision. */
  async compact(revision: bigint): Promise<void> {
    const admin = new Etcd3({ hosts: this.first.address });
    await admin.kv.compact({ revision: String(revision), physical: true });
    admin.close();
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

export class EtcdMember {
  readonly address: string;
  readonly #path: string;
  readonly #flags: readonly string[];
  readonly #tls: EtcdClusterOptions['tls'];
  #process: ChildProcess | undefined;

  constructor(address: string, path: string, flags: readonly string[], tls: EtcdClusterOptions['tls']) {
    this.address = address;
    this.#path = path;
    this.#flags = flags;
    this.#tls = tls;
  }

  get alive(): boolean {
    return this.#process !== undefined && this.#process.exitCode === null && this.#process.signalCode === null;
  }

  launch(): void {
    this.#process = spawn(this.#path, this.#flags, { stdio: 'ignore' });
  }

  /** Resolves when it answers that it is healthy: it has a leader. */
  async healthy(): Promise<void> {
    for (let i = 0; i < 300; i++) {
      if (await this.#answers()) return;
      if (this.#process?.exitCode !== null) break;
      await sleep(50);
    }
    throw new Error(`etcd did not start: ${this.#path} ${this.#flags.join(' ')}`);
  }

  async restart(): Promise<void> {
    this.launch();
    await this.healthy();
  }

  /** As a crash would. Resolves when it is gone. */
  async kill(): Promise<void> {
    const running = this.#process;
    if (running === undefined || !this.alive) return;
    const gone = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGKILL');
    await gone;
  }

  /** Dies, and forgets everything. */
  async wipe(): Promise<void> {
    await this.kill();
    const at = this.#flags.indexOf('--data-dir') + 1;
    rmSync(this.#flags[at] ?? '', { recursive: true });
  }

  /** Nothing is answered any more, and no connection breaks. */
  freeze(): void {
    this.#process?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#process?.kill('SIGCONT');
  }

  #answers(): Promise<boolean> {
    const url = `${this.#tls === undefined ? 'http' : 'https'}://${this.address}/health`;
    const client = this.#tls?.mutual ? { cert: readFileSync(this.#tls.cert), key: readFileSync(this.#tls.key) } : {};
    return new Promise((resolve) => {
      const request = (this.#tls === undefined ? get : getTls)(
        url,
        { timeout: 2_000, rejectUnauthorized: false, ...client },
        (response) => {
          let body = '';
          response.on('data', (chunk) => {
            body += chunk;
          });
          response.on('end', () => resolve(/"true"/.test(body)));
        },
      );
      request.on('error', () => resolve(false));
      request.on('timeout', () => request.destroy());
    });
  }
}

export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
