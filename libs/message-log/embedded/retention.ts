import { rmSync } from 'node:fs';
import type { ControlMemory } from './control.ts';
import { HeaderScan, listSegments, SegmentFile, segmentPath } from './segments.ts';
import { storageError } from './storage-error.ts';

/**
 * Deletes closed segments of a queue: those older than `retentionMs`, and the oldest while the queue is larger than `retentionBytes` (0: no
 * limit). A segment's age is the time at which its successor begins. The segment that is written to always stays.
 */
export function removeOldSegments(
  directory: string,
  control: ControlMemory,
  slot: number,
  limits: { readonly retentionMs: number; readonly retentionBytes: number },
  nowMs: number,
): void {
  const { segment: active, bytes: activeBytes } = control.tail(slot);
  // Nothing was closed since the queue's first segment: no need to look at the directory.
  if (active === control.minOffset(slot)) return;
  const segments = listSegments(directory).filter((segment) => segment <= active);
  const sizes = segments.map((segment) => (segment === active ? activeBytes : sizeOf(directory, segment)));
  let total = sizes.reduce((sum, size) => sum + size, 0);
  for (const [index, segment] of segments.entries()) {
    const successor = segments[index + 1];
    if (successor === undefined) return;
    const tooMuch = limits.retentionBytes > 0 && total - (sizes[index] ?? 0) >= limits.retentionBytes;
    if (!tooMuch && !(limits.retentionMs > 0 && startedAt(directory, successor) <= nowMs - limits.retentionMs)) return;
    // First the word, then the file: who finds no file looks at the word.
    control.setMinOffset(slot, successor);
    const path = segmentPath(directory, segment);
    try {
      rmSync(path, { force: true });
    } catch (error) {
      throw storageError(error, 'deleting', path);
    }
    total -= sizes[index] ?? 0;
  }
}

function sizeOf(directory: string, segment: number): number {
  const file = SegmentFile.open(directory, segment);
  try {
    return file?.bytes() ?? 0;
  } finally {
    file?.close();
  }
}

/** Store time of a segment's first frame; `Infinity` if it cannot be read. */
function startedAt(directory: string, segment: number): number {
  const file = SegmentFile.open(directory, segment);
  try {
    if (file === undefined) return Number.POSITIVE_INFINITY;
    return new HeaderScan(file, file.bytes()).header(0)?.storedAtMs ?? Number.POSITIVE_INFINITY;
  } finally {
    file?.close();
  }
}
