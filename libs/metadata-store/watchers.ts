import { inRange } from './byte-order.ts';
import type { KeyRange, Watch, WatchEvent, WatchListener } from './index.ts';

/**
 * The watches of one store in this process. Events reach listeners later, never inside the call that wrote them, in order, whole
 * revisions at a time. A listener that throws has missed events: its watch ends with what it threw, and nothing else is touched.
 */
export class Watchers {
  readonly #open = new Set<Watcher>();
  readonly #schedule: (deliver: () => void) => void;

  constructor(schedule: (deliver: () => void) => void = queueMicrotask) {
    this.#schedule = schedule;
  }

  /** `backlog` are the events that happened already. */
  add(range: KeyRange, fromRevision: bigint, backlog: readonly WatchEvent[], listener: WatchListener): Watch {
    const watcher = new Watcher(range, fromRevision, listener);
    this.#open.add(watcher);
    this.#queue(watcher, backlog);
    return {
      cancel: () => {
        watcher.over = true;
        this.#open.delete(watcher);
      },
    };
  }

  /** A watch that could not begin. */
  refuse(listener: WatchListener, error: Error): Watch {
    const watcher = new Watcher({ start: '\0', end: '\0' }, 0n, listener);
    this.#end(watcher, error);
    return {
      cancel: () => {
        watcher.over = true;
      },
    };
  }

  /** All events of one revision. */
  publish(events: readonly WatchEvent[]): void {
    for (const watcher of this.#open) this.#queue(watcher, events);
  }

  /** Ends all watches; without an error, silently. */
  endAll(error?: Error): void {
    for (const watcher of this.#open) {
      if (error === undefined) watcher.over = true;
      else this.#end(watcher, error);
    }
    this.#open.clear();
  }

  /** The watches that are open now deliver nothing from here on, and nobody is told. */
  deafen(): void {
    for (const watcher of this.#open) watcher.deaf = true;
  }

  #queue(watcher: Watcher, events: readonly WatchEvent[]): void {
    if (watcher.deaf) return;
    const wanted = events.filter((event) => revisionOf(event) >= watcher.fromRevision && inRange(watcher.range, keyOf(event)));
    if (wanted.length === 0) return;
    watcher.pending.push(wanted);
    this.#schedule(() => this.#deliver(watcher, watcher.pending.indexOf(wanted) + 1));
  }

  // Not what came later as well: a slow connection delays each batch alike. What came before goes first, however slow.
  #deliver(watcher: Watcher, batches: number): void {
    const events = watcher.pending.splice(0, batches).flat();
    const last = events.at(-1);
    if (last === undefined || watcher.over || watcher.deaf) return;
    try {
      watcher.listener.onEvents(events, revisionOf(last));
    } catch (thrown) {
      this.#open.delete(watcher);
      this.#end(watcher, thrown instanceof Error ? thrown : new Error(String(thrown)));
    }
  }

  #end(watcher: Watcher, error: Error): void {
    this.#schedule(() => {
      if (watcher.over) return;
      this.#deliver(watcher, watcher.pending.length);
      if (watcher.over) return;
      watcher.over = true;
      try {
        watcher.listener.onEnd(error);
      } catch (thrown) {
        process.emitWarning(`a watch listener failed when told of the end of its watch: ${thrown}`);
      }
    });
  }
}

class Watcher {
  readonly range: KeyRange;
  readonly fromRevision: bigint;
  readonly listener: WatchListener;
  /** One entry per revision, the first perhaps of many. */
  readonly pending: WatchEvent[][] = [];
  over = false;
  deaf = false;

  constructor(range: KeyRange, fromRevision: bigint, listener: WatchListener) {
    this.range = range;
    this.fromRevision = fromRevision;
    this.listener = listener;
  }
}

function revisionOf(event: WatchEvent): bigint {
  return event.type === 'put' ? event.kv.modRevision : event.revision;
}

function keyOf(event: WatchEvent): string {
  return event.type === 'put' ? event.kv.key : event.key;
}
