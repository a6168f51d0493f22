import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { Settings } from '@rocketmq-connect/configuration';
import { type Finding, failed, ok, warning } from './finding.ts';

const MB = 1024 * 1024;
const FILES_NEEDED = 1_024;
const FILES_WANTED = 4_096;
const DISK_NEEDED_MB = 256;
const DISK_WANTED_MB = 2_048;
/** What a process takes beside its task hosts. */
const PROCESS_MB = 192;

/** Whether this machine lets a process have what the settings make it use. */
export function checkMachine(settings: Settings): readonly Finding[] {
  return [checkNode(process.versions.node), ...checkFiles(openFilesMax()), ...checkDisk(settings), checkMemory(settings, memoryMb())];
}

export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const fits = major > 22 || (major === 22 && minor >= 22);
  if (fits) return ok('Node.js', version);
  return failed('Node.js', `${version} is too old`, 'use 22.22 or newer; npm scripts bring their own');
}

/** `max` undefined: the system has no such limit that can be read. */
export function checkFiles(max: number | undefined): readonly Finding[] {
  if (max === undefined) return [];
  const [check, remedy] = [
    'open files',
    `allow ${FILES_WANTED} or more: ulimit -n ${FILES_WANTED}, LimitNOFILE= of systemd, --ulimit nofile= of Docker`,
  ];
  if (max < FILES_NEEDED) return [failed(check, `at most ${max}: each connection and each segment of the embedded log is one`, remedy)];
  if (max < FILES_WANTED) return [warning(check, `at most ${max}`, remedy)];
  return [ok(check, `at most ${max}`)];
}

/** Of the embedded store and log, where they are used. */
function checkDisk(settings: Settings): readonly Finding[] {
  const embedded = settings.etcd.length === 0 || settings.rocketmq.namesrv.length + settings.rocketmq.proxy.length === 0;
  if (!embedded) return [];
  let folder = resolve(settings.dataDir);
  const check = `data folder ${folder}`;
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    return [failed(check, `${folder} cannot be written`, 'give another folder with --data-dir, or let this user write there')];
  }
  const { bavail, bsize } = statfsSync(folder);
  return [checkSpace(check, (bavail * bsize) / MB)];
}

export function checkSpace(check: string, freeMb: number): Finding {
  const detail = `${Math.floor(freeMb)} MB are free`;
  const remedy = 'free space, or keep less: --message-log-retention-ms, --message-log-retention-bytes';
  if (freeMb < DISK_NEEDED_MB) return failed(check, detail, remedy);
  return freeMb < DISK_WANTED_MB ? warning(check, detail, remedy) : ok(check, detail);
}

export function checkMemory({ runner }: Pick<Settings, 'runner'>, availableMb: number): Finding {
  const hosts = runner.hosts === 0 ? availableParallelism() : runner.hosts;
  const neededMb = PROCESS_MB + hosts * runner.hostHeapMb;
  const detail = `${Math.floor(availableMb)} MB; a runner of ${hosts} host(s) may take ${neededMb} MB, and buffers`;
  if (availableMb >= neededMb) return ok('memory', detail);
  return warning('memory', detail, 'give it more, or make it take less: --runner-hosts, --runner-host-heap-mb');
}

function openFilesMax(): number | undefined {
  const [, max] = /^Max open files\s+(\d+)/m.exec(textOf('/proc/self/limits')) ?? [];
  return max === undefined ? undefined : Number(max);
}

/** Of the machine, or of the container where it has less. */
function memoryMb(): number {
  const limits = ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes'].map((path) =>
    Number.parseInt(textOf(path), 10),
  );
  return Math.min(totalmem(), ...limits.filter((limit) => limit > 0)) / MB;
}

function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
