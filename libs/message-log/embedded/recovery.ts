import { closeSync, copyFileSync, fsyncSync, ftruncateSync, openSync, renameSync, rmSync } from 'node:fs';
import type { Tail } from './control.ts';
import { HeaderScan, listSegments, SegmentFile, segmentPath } from './segments.ts';
import { storageError } from './storage-error.ts';

/** What recovery saw that was not as it should be. */
export interface RecoveryFinding {
  /**
   * `tornTail`: the last frame was not wholly written, so it was never acknowledged, or a power failure took it before any flush; cut off.
   * `unflushed`: a power failure took a frame that no flush had covered; it and what followed are cut off, and kept in `.cut` files.
   * `damaged`: what had been flushed cannot be read. It stays; readers that come to it fail with `LOG_DAMAGED`.
   */
  readonly kind: 'tornTail' | 'unflushed' | 'damaged';
  readonly path: string;
  /** Where in the file. */
  readonly at: number;
  /** Position of the first message concerned. */
  readonly offset: number;
  /** Bytes cut off, or unreadable. */
  readonly bytes: number;
}

export interface RecoveredQueue {
  readonly tail: Tail;
  readonly minOffset: number;
  readonly findings: readonly RecoveryFinding[];
}

/**
 * Finds the end of a queue. Looks at everything behind the checkpoint: what lies before it was forced to disk, is checked when it is
 * read, and is never cut off. A bad frame behind it was flushed all the same if a later frame says so in its header; then it is damage
 * and stays, with what follows it. Else nobody was promised that it survives a power failure, and the queue ends before it.
 */
export function recoverQueue(directory: string, checkpoint: Tail | undefined): RecoveredQueue {
  const segments = listSegments(directory);
  const findings: RecoveryFinding[] = [];
  const place = startOf(directory, segments, checkpoint, findings);
  const minOffset = segments[0] ?? place.tail.nextOffset;
  let { tail, index } = place;
  while (index < segments.length) {
    const step = scanSegment(directory, segments, index, tail);
    tail = step.tail;
    if (step.finding !== undefined) findings.push(step.finding);
    if (step.index === undefined) break;
    index = step.index;
  }
  return { tail, minOffset, findings };
}

interface Place {
  readonly tail: Tail;
  readonly index: number;
}

function startOf(directory: string, segments: readonly number[], checkpoint: Tail | undefined, findings: RecoveryFinding[]): Place {
  const first = segments[0];
  if (checkpoint === undefined || (first !== undefined && first > checkpoint.segment)) {
    // No checkpoint yet, or retention has removed its segment since.
    const start = first ?? 0;
    return { tail: { segment: start, bytes: 0, nextOffset: start, storedAtMs: checkpoint?.storedAtMs ?? 0 }, index: 0 };
  }
  const index = segments.indexOf(checkpoint.segment);
  const size = index === -1 ? 0 : sizeOf(directory, checkpoint.segment);
  if (size >= checkpoint.bytes) return { tail: checkpoint, index: index === -1 ? segments.length : index };
  findings.push({
    kind: 'damaged',
    path: segmentPath(directory, checkpoint.segment),
    at: size,
    offset: checkpoint.nextOffset,
    bytes: checkpoint.bytes - size,
  });
  // The end of the segment is gone. Positions are never given twice, so the queue goes on in a new segment.
  const later = segments.findIndex((segment) => segment >= checkpoint.nextOffset);
  const start = segments[later] ?? checkpoint.nextOffset;
  return { tail: { ...checkpoint, segment: start, bytes: 0, nextOffset: start }, index: later === -1 ? segments.length : later };
}

interface Step {
  readonly tail: Tail;
  /** The segment to go on with; undefined at the end of the queue. */
  readonly index: number | undefined;
  readonly finding?: RecoveryFinding;
}

function scanSegment(directory: string, segments: readonly number[], index: number, from: Tail): Step {
  const segment = segments[index] ?? 0;
  const successor = segments[index + 1];
  const file = openSegment(directory, segment);
  try {
    const size = file.bytes();
    const scan = new HeaderScan(file, size);
    let { bytes: at, nextOffset, storedAtMs } = from;
    // A frame at or behind the successor's first position was written by a thread that was killed before it published it.
    while (successor === undefined || nextOffset < successor) {
      const header = scan.header(at);
      if (header === undefined || header.offset !== nextOffset || !scan.intact(at, header)) break;
      at += header.length;
      nextOffset += header.count;
      storedAtMs = header.storedAtMs;
    }
    const tail: Tail = { segment, bytes: at, nextOffset, storedAtMs };
    if (nextOffset === successor) {
      if (at < size) cut(file.path, at);
      return { tail: { ...tail, segment: successor, bytes: 0 }, index: index + 1 };
    }
    if (at === size && successor === undefined) return { tail, index: undefined };
    const rest = examine(directory, segments, index, scan, at, nextOffset);
    const finding = { path: file.path, at, offset: nextOffset };
    if (rest.resume !== undefined && rest.flushed > nextOffset) {
      const { resume } = rest;
      const bytes = resume.index === index ? resume.at - at : size - at;
      const resumed = { ...tail, segment: segments[resume.index] ?? 0, bytes: resume.at, nextOffset: resume.offset };
      return { tail: resumed, index: resume.index, finding: { ...finding, kind: 'damaged', bytes } };
    }
    if (rest.resume !== undefined) keepCut(directory, segments, index, at);
    for (const later of segments.slice(index + 1)) rmSync(segmentPath(directory, later), { force: true });
    cut(file.path, at);
    return {
      tail,
      index: undefined,
      finding: { ...finding, kind: rest.resume === undefined ? 'tornTail' : 'unflushed', bytes: size - at },
    };
  } finally {
    file.close();
  }
}

interface Rest {
  /** The first intact frame behind the bad one. */
  readonly resume: { readonly index: number; readonly at: number; readonly offset: number } | undefined;
  /** How far the frames behind the bad one say that the disk held everything. */
  readonly flushed: number;
}

function examine(directory: string, segments: readonly number[], index: number, scan: HeaderScan, at: number, offset: number): Rest {
  let resume: Rest['resume'];
  let flushed = 0;
  const look = (place: number, lookAt: HeaderScan, from: number): void => {
    for (let next = lookAt.nextIntact(from, offset); next !== undefined; next = lookAt.nextIntact(next.at + next.header.length, offset)) {
      resume ??= { index: place, at: next.at, offset: next.header.offset };
      flushed = Math.max(flushed, next.header.flushed);
      if (flushed > offset) return;
    }
  };
  look(index, scan, at + 1);
  for (let later = index + 1; later < segments.length && flushed <= offset; later++) {
    const file = openSegment(directory, segments[later] ?? 0);
    try {
      look(later, new HeaderScan(file, file.bytes()), 0);
    } finally {
      file.close();
    }
  }
  return { resume, flushed };
}

/** Acknowledged messages may be among what is cut off: never throw them away unseen. */
function keepCut(directory: string, segments: readonly number[], index: number, at: number): void {
  try {
    const [first = 0, ...later] = segments.slice(index);
    const path = segmentPath(directory, first);
    copyFileSync(path, `${path}.from-${at}.cut`);
    for (const segment of later) renameSync(segmentPath(directory, segment), `${segmentPath(directory, segment)}.cut`);
  } catch (error) {
    throw storageError(error, 'keeping what is cut off of', directory);
  }
}

function cut(path: string, at: number): void {
  try {
    const fd = openSync(path, 'r+');
    try {
      ftruncateSync(fd, at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw storageError(error, 'truncating', path);
  }
}

function openSegment(directory: string, segment: number): SegmentFile {
  const file = SegmentFile.open(directory, segment);
  if (file !== undefined) return file;
  const path = segmentPath(directory, segment);
  throw storageError(Object.assign(new Error('gone'), { code: 'ENOENT' }), 'opening', path);
}

function sizeOf(directory: string, segment: number): number {
  const file = openSegment(directory, segment);
  try {
    return file.bytes();
  } finally {
    file.close();
  }
}
