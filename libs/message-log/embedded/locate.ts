import type { Tail } from './control.ts';
import type { FrameHeader } from './frame.ts';
import { HeaderScan, listSegments, SegmentFile } from './segments.ts';

export interface Location {
  readonly file: SegmentFile;
  readonly segment: number;
  /** Where the frame that holds the position begins. */
  readonly at: number;
}

/** Finds the frame that holds a position below the tail's; undefined if no readable frame does. The caller closes the file. */
export function locate(directory: string, tail: Tail, offset: number): Location | undefined {
  const segment = publishedSegments(directory, tail).findLast((base) => base <= offset);
  if (segment === undefined) return undefined;
  if (offset === tail.nextOffset && segment === tail.segment) {
    const file = SegmentFile.open(directory, segment);
    return file && { file, segment, at: tail.bytes };
  }
  const file = SegmentFile.open(directory, segment);
  if (file === undefined) return undefined;
  const scan = new HeaderScan(file, segmentEnd(file, segment, tail));
  for (const { at, header } of frames(scan, segment)) {
    if (!holds(header, offset)) continue;
    if (scan.intact(at, header)) return { file, segment, at };
    // Its header may lie about what it holds.
    for (const later of intactFrames(scan, at + 1)) if (holds(later.header, offset)) return { file, segment, at: later.at };
    break;
  }
  file.close();
  return undefined;
}

function holds(header: FrameHeader, offset: number): boolean {
  return header.offset <= offset && offset < header.offset + header.count;
}

/** The first position behind `offset` that can be read: of the next intact frame, or the end of the queue. */
export function resumeAfter(directory: string, tail: Tail, offset: number): number {
  const segments = publishedSegments(directory, tail);
  const first = Math.max(
    0,
    segments.findLastIndex((base) => base <= offset),
  );
  for (const segment of segments.slice(first)) {
    const file = SegmentFile.open(directory, segment);
    if (file === undefined) continue;
    try {
      const found = new HeaderScan(file, segmentEnd(file, segment, tail)).nextIntact(0, offset + 1);
      if (found !== undefined) return found.header.offset;
    } finally {
      file.close();
    }
  }
  return tail.nextOffset;
}

/** Position of the first message stored at or after a time; the end of the queue if there is none. */
export function offsetAtTime(directory: string, tail: Tail, timestampMs: number): number {
  if (timestampMs > tail.storedAtMs) return tail.nextOffset;
  const segments = publishedSegments(directory, tail);
  // Store times never go back: the frame lies in the last segment that begins before the time, or at the start of the next.
  let first = 0;
  for (const [index, segment] of segments.entries()) {
    const file = SegmentFile.open(directory, segment);
    const header = file && new HeaderScan(file, segmentEnd(file, segment, tail)).header(0);
    file?.close();
    if (header !== undefined && header.storedAtMs >= timestampMs) break;
    first = index;
  }
  for (const segment of segments.slice(first)) {
    const file = SegmentFile.open(directory, segment);
    if (file === undefined) continue;
    try {
      const scan = new HeaderScan(file, segmentEnd(file, segment, tail));
      for (const { header } of frames(scan, segment)) if (header.storedAtMs >= timestampMs) return header.offset;
    } finally {
      file.close();
    }
  }
  return tail.nextOffset;
}

interface Frame {
  readonly at: number;
  readonly header: FrameHeader;
}

/** The frames of a segment by their headers alone; where these do not follow from each other, only intact frames from there on. */
function* frames(scan: HeaderScan, segment: number): Generator<Frame> {
  let expected = segment;
  let last = -1;
  for (let at = 0; at < scan.end; ) {
    const header = scan.header(at);
    if (header?.offset !== expected) {
      yield* intactFrames(scan, last + 1);
      return;
    }
    yield { at, header };
    last = at;
    at += header.length;
    expected = header.offset + header.count;
  }
}

function* intactFrames(scan: HeaderScan, from: number): Generator<Frame> {
  for (let frame = scan.nextIntact(from, 0); frame !== undefined; frame = scan.nextIntact(frame.at + frame.header.length, 0)) yield frame;
}

function publishedSegments(directory: string, tail: Tail): number[] {
  return listSegments(directory).filter((segment) => segment <= tail.segment);
}

function segmentEnd(file: SegmentFile, segment: number, tail: Tail): number {
  return segment === tail.segment ? tail.bytes : file.bytes();
}
