import { join } from 'node:path';
import type { Tail } from './control.ts';
import { loadState, saveState } from './state-file.ts';

/** Where each queue (`<topic id>/<queue>`) was forced to disk for sure: recovery begins there, and what lies before is never cut off. */
export type Checkpoint = ReadonlyMap<string, Tail>;

type CheckpointContent = Record<string, readonly [segment: number, bytes: number, nextOffset: number, storedAtMs: number]>;

/** `whole` is false if there is a checkpoint that cannot be read: recovery then looks at everything. */
export function loadCheckpoint(directory: string): { readonly checkpoint: Checkpoint; readonly whole: boolean } {
  const state = loadState<CheckpointContent>(join(directory, 'checkpoint.json'));
  const content = state.found === 'whole' ? state.content : {};
  const checkpoint = new Map(
    Object.entries(content).map(([key, [segment, bytes, nextOffset, storedAtMs]]) => [key, { segment, bytes, nextOffset, storedAtMs }]),
  );
  return { checkpoint, whole: state.found !== 'corrupt' };
}

export function saveCheckpoint(directory: string, checkpoint: Checkpoint): Promise<void> {
  const content: CheckpointContent = {};
  for (const [key, tail] of checkpoint) content[key] = [tail.segment, tail.bytes, tail.nextOffset, tail.storedAtMs];
  return saveState(join(directory, 'checkpoint.json'), content);
}
