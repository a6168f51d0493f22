import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** What Linux tells of a process. */
export interface ProcessFigures {
  readonly rssMb: number;
  readonly threads: number;
  readonly sockets: number;
  /** All file descriptors. */
  readonly descriptors: number;
  /** Since its start, of all threads. */
  readonly cpuSeconds: number;
}

export function processFigures(pid: number): ProcessFigures {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  const targets = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return ''; // closed meanwhile
    }
  });
  return {
    rssMb: field('VmRSS') / 1024,
    threads: field('Threads'),
    sockets: targets.filter((target) => target.startsWith('socket:')).length,
    descriptors: targets.length,
    cpuSeconds: cpuSecondsOf(pid),
  };
}

/** Of all its threads since its start. */
export function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Of the least squares line through points: how much y grows per x. */
export function slopeOf(points: readonly { readonly x: number; readonly y: number }[]): number {
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / points.length;
  const covariance = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0);
  return covariance / points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
}
