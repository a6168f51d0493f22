import type { TopicPlace } from './admin.ts';
import { type Checkpoint, saveCheckpoint } from './checkpoint.ts';
import type { ControlMemory, Tail } from './control.ts';
import { flushQueue } from './disk-flush.ts';

/** Forces what was written since the last checkpoint to disk, then writes down how far that is. */
export class Checkpointer {
  readonly #directory: string;
  readonly #control: ControlMemory;
  #last: Checkpoint;

  constructor(directory: string, control: ControlMemory, last: Checkpoint) {
    this.#directory = directory;
    this.#control = control;
    this.#last = last;
  }

  async write(topics: readonly TopicPlace[]): Promise<void> {
    const fresh = new Map<string, Tail>();
    let changed = false;
    let failure: unknown;
    for (const { id, queues } of topics) {
      for (const [queue, { slot, directory }] of queues.entries()) {
        const key = `${id}/${queue}`;
        const before = this.#last.get(key);
        const now = this.#control.tail(slot);
        if (now.nextOffset === 0) continue;
        if (before !== undefined && before.nextOffset === now.nextOffset && before.segment === now.segment) {
          fresh.set(key, before);
          continue;
        }
        try {
          fresh.set(key, await flushQueue(this.#control, slot, directory));
          changed = true;
        } catch (error) {
          // One broken queue must not keep the others from their checkpoint.
          failure ??= error;
          if (before !== undefined) fresh.set(key, before);
        }
      }
    }
    if (changed || fresh.size !== this.#last.size) {
      await saveCheckpoint(this.#directory, fresh);
      this.#last = fresh;
    }
    if (failure !== undefined) throw failure;
  }
}
