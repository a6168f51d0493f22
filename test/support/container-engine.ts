import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const STRICT = [
  ...['--read-only', '--cap-drop', 'all', '--security-opt', 'no-new-privileges', '--tmpfs', '/tmp'],
  // Who may not raise limits could not give the engine's own.
  ...['--ulimit', 'nofile=4096:4096', '--ulimit', 'nproc=4096:4096'],
];

/** Files that say how npm reaches its registry, and where npm of an image looks for them, if not at the same path. */
const NPM_FILES = { userconfig: '/root/.npmrc', globalconfig: '/usr/local/etc/npmrc', cafile: undefined };

/** Why no containers can be run, if so: then the suite is to be skipped. */
export function whyNoContainers(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'containers need root on Linux';
  for (const tool of ['podman', 'buildah', 'runc', 'iptables', 'mmdebstrap'])
    if (spawnSync(tool, ['--version']).error !== undefined) return `there is no ${tool}: .ci/run says what to install`;
  return undefined;
}

/** Images and containers of one test, by podman and buildah, in a folder of their own and a network of their own. */
export class ContainerEngine {
  readonly #directory: string;
  readonly #storage: readonly string[];
  readonly #network: string;

  constructor(directory: string) {
    this.#directory = mkdtempSync(join(directory, 'rmqc-containers-'));
    this.#network = this.#directory.slice(directory.length + 1).toLowerCase();
    this.#storage = ['--root', join(this.#directory, 'storage'), '--runroot', join(this.#directory, 'run')];
  }

  /** What stands in for the official image of Node.js, which a registry would have: Debian's packages, npm's, and the Node.js of this process. */
  makeBase(name: string): void {
    const system = join(this.#directory, 'base');
    const slim = ['doc', 'info', 'locale', 'man'].map((folder) => `--dpkgopt=path-exclude=/usr/share/${folder}/*`);
    must('mmdebstrap', ['--quiet', '--variant=minbase', '--include=libstdc++6', ...slim, 'bookworm', system]);
    copyFileSync(process.execPath, join(system, 'usr/local/bin/node'));
    must('npm', ['install', '--silent', '--global', '--prefix', join(system, 'usr/local'), 'npm@11']);
    const container = this.#buildah(['from', 'scratch']);
    this.#buildah(['add', '--quiet', container, system, '/']);
    this.#buildah(['commit', '--quiet', '--rm', container, name]);
    rmSync(system, { recursive: true });
  }

  /** What hinders containers of an image that needs nothing, if so. */
  whyNotRun(image: string): string | undefined {
    try {
      this.run('trial', image, ['--publish', '127.0.0.1::80'], ['true']);
      return undefined;
    } catch (error) {
      return String(error);
    }
  }

  build(dockerfile: string, target: string, base: string): void {
    // Where npm is set up for another registry than its own, so it is in the build, but not in the image.
    const settings = Object.entries(NPM_FILES).flatMap(([setting, inside]) => {
      const path = must('npm', ['config', 'get', setting], { cwd: this.#directory });
      return existsSync(path) ? ['--volume', `${path}:${inside ?? path}:ro`] : [];
    });
    // The format that knows health checks; in a chroot, which asks least of the machine.
    const options = ['--format', 'docker', '--layers', '--isolation', 'chroot', '--build-arg', `NODE=${base}`, ...settings];
    this.#buildah(['bud', ...options, '--file', join(ROOT, dockerfile), '--target', target, '--tag', target, ROOT]);
  }

  /** Size of an image and of those that it is made of, in bytes. */
  size(image: string): number {
    return Number(this.podman(['image', 'inspect', '--format', '{{.Size}}', image]));
  }

  /** Starts a container as strictly as the images say that they can be run. Others find it by its name. */
  run(name: string, image: string, options: readonly string[] = [], command: readonly string[] = []): void {
    if (this.#try(['network', 'exists', this.#network]).status !== 0) this.podman(['network', 'create', this.#network]);
    const all = [...STRICT, '--network', this.#network, ...options];
    this.podman(['run', '--detach', '--name', name, ...all, image, ...command]);
  }

  /** What a command in a container of its own prints. */
  once(image: string, [entrypoint = '', ...args]: readonly string[]): string {
    return this.podman(['run', '--rm', ...STRICT, '--network', 'none', '--entrypoint', entrypoint, image, ...args]);
  }

  /** The exit code of its health check. */
  health(name: string): number | null {
    return this.#try(['healthcheck', 'run', name]).status;
  }

  /** Both streams. */
  output(name: string): string {
    const { stdout, stderr } = this.#try(['logs', name]);
    return stdout + stderr;
  }

  /** Asks it to end, and resolves to its exit code: 137 where it had to be killed. */
  stop(name: string): number {
    this.podman(['stop', '--time', '30', name]);
    return Number(this.podman(['inspect', '--format', '{{.State.ExitCode}}', name]));
  }

  /** What podman says. Throws what it complains of. */
  podman(args: readonly string[]): string {
    return must('podman', [...this.#options(), ...args]);
  }

  /** Removes all that was made. */
  close(): void {
    this.#try(['rm', '--all', '--force', '--time', '0', '--volumes']);
    this.#try(['network', 'rm', this.#network]);
    this.#try(['rmi', '--all', '--force']);
    spawnSync('umount', [join(this.#directory, 'storage/overlay')]);
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #buildah(args: readonly string[]): string {
    return must('buildah', [...this.#storage, ...args]);
  }

  #options(): readonly string[] {
    // Not crun: it refuses machines with control groups of both versions. Not systemd: it need not be there.
    const folders = ['--volumepath', join(this.#directory, 'volumes'), '--network-config-dir', join(this.#directory, 'networks')];
    return [...this.#storage, ...folders, '--runtime', 'runc', '--cgroup-manager', 'cgroupfs'];
  }

  #try(args: readonly string[]): SpawnSyncReturns<string> {
    return spawnSync('podman', [...this.#options(), ...args], { encoding: 'utf8' });
  }
}

function must(command: string, args: readonly string[], options: { readonly cwd?: string } = {}): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26, ...options });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stdout + stderr}`);
  return stdout.trim();
}
