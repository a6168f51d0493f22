import type { Tail } from './control.ts';
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
  for (const { at, header } of frames(file, segmentEnd(file, segment, tail))) {
    if (header.offset > offset) break;
    if (offset < header.offset + header.count) return { file, segment, at };
  }
  file.close();
  return undefined;
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
      for (const { header } of frames(file, segmentEnd(file, segment, tail))) if (header.storedAtMs >= timestampMs) return header.offset;
    } finally {
      file.close();
    }
  }
  return tail.nextOffset;
}

/** The frames of a segment, without a look at their bytes; steps over damage. */
function* frames(file: SegmentFile, end: number): Generator<{ at: number; header: NonNullable<ReturnType<HeaderScan['header']>> }> {
  const scan = new HeaderScan(file, end);
  let expected: number | undefined;
  for (let at = 0; at < end; ) {
    let header = scan.header(at);
    if (header === undefined || (expected !== undefined && header.offset !== expected)) {
      const found = scan.nextIntact(at + 1, expected ?? 0);
      if (found === undefined) return;
      at = found.at;
      header = found.header;
    }
    yield { at, header };
    at += header.length;
    expected = header.offset + header.count;
  }
}

function publishedSegments(directory: string, tail: Tail): number[] {
  return listSegments(directory).filter((segment) => segment <= tail.segment);
}

function segmentEnd(file: SegmentFile, segment: number, tail: Tail): number {
  return segment === tail.segment ? tail.bytes : file.bytes();
}
