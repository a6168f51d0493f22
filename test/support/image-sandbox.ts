import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Image } from './dockerfile.ts';

/** Where there is no container engine: a folder as root file system, read-only, with a user without rights. Needs root on Linux. */
export class ImageSandbox {
  readonly #root: string;
  readonly #image: Image;

  static readonly possible: boolean =
    process.platform === 'linux' &&
    process.getuid?.() === 0 &&
    spawnSync('unshare', ['--mount', '--uts', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

  /**
   * Does in `root` what the image's instructions say. `copies` gives the folders that other stages made; the system itself is this machine's,
   * and its Node.js the one of this process.
   */
  constructor(root: string, image: Image, context: string, copies: (stage: string, from: string) => string) {
    this.#root = root;
    this.#image = image;
    for (const folder of ['usr/bin', 'usr/sbin', 'usr/lib', 'usr/lib64', 'usr/local/bin', 'etc', 'dev', 'proc', 'tmp'])
      mkdirSync(join(root, folder), { recursive: true });
    for (const folder of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${folder}`, join(root, folder));
    writeFileSync(join(root, 'usr/local/bin/node'), '');
    for (const { name, flags, text } of image.instructions) {
      if (name === 'WORKDIR') mkdirSync(join(root, text), { recursive: true });
      if (name === 'RUN') execFileSync('unshare', ['--mount', 'sh', '-ec', `${this.#mounts()}\nexec chroot "${root}" sh -ec '${text}'`]);
      if (name !== 'COPY') continue;
      const [from = '', to = ''] = text.split(' ');
      const source = flags['from'] === undefined ? join(context, from) : copies(flags['from'], from);
      mkdirSync(dirname(join(root, to)), { recursive: true });
      if (flags['from'] === undefined) copyFileSync(source, join(root, to));
      else execFileSync('cp', ['-al', source, join(root, to)]);
      if (flags['chmod'] !== undefined) chmodSync(join(root, to), Number.parseInt(flags['chmod'], 8));
    }
  }

  /** A command line that runs the image's entry point with these arguments, or else its command. */
  run(env: Readonly<Record<string, string>>, args: readonly string[] = this.#image.command): readonly string[] {
    return this.#enter(env, [...this.#image.entrypoint, ...args]);
  }

  /** The exit code of its health check. */
  health(env: Readonly<Record<string, string>>): number | null {
    const [command = '', ...args] = this.#enter(env, this.#image.healthCommand);
    return spawnSync(command, args).status;
  }

  #enter(env: Readonly<Record<string, string>>, command: readonly string[]): readonly string[] {
    const [uid = '', gid = ''] = this.#image.user.split(':');
    const all = { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: '/nonexistent', ...this.#image.env, ...env };
    const assignments = Object.entries(all).map(([name, value]) => `${name}=${value}`);
    const script = `
${this.#mounts()}
mount -o remount,ro,bind "${this.#root}"
hostname localhost
shift
exec chroot "${this.#root}" setpriv --reuid=${uid} --regid=${gid} --clear-groups --no-new-privs --bounding-set=-all \
  sh -c 'cd ${this.#image.workingDir} && exec "$@"' sh "$@"`;
    return ['unshare', '--mount', '--uts', 'sh', '-ec', script, 'sh', '-', 'env', '-i', ...assignments, ...command];
  }

  /** The shell lines that make the root file system of it. Only volumes can be written to. */
  #mounts(): string {
    const volumes = this.#image.instructions.flatMap(({ name, text }) => (name === 'VOLUME' ? [text] : []));
    return [
      `mount --bind "${this.#root}" "${this.#root}"`,
      ...['usr/bin', 'usr/sbin', 'usr/lib', 'usr/lib64', 'etc', 'dev', 'proc'].map(
        (folder) => `mount --rbind /${folder} "${this.#root}/${folder}"`,
      ),
      `mount --bind "${process.execPath}" "${this.#root}/usr/local/bin/node"`,
      `mount -t tmpfs -o mode=1777 tmpfs "${this.#root}/tmp"`,
      ...volumes.map(
        (folder) => `test ! -d "${this.#root}${folder}" || mount -t tmpfs -o uid=1000,gid=1000 tmpfs "${this.#root}${folder}"`,
      ),
    ].join('\n');
  }
}
