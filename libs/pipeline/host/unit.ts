import type { CommitContent, HostEvent } from '../host-protocol.ts';
import type { UnitHooks } from './hook-watch.ts';
import type { Host } from './host.ts';
import type { TaskBody } from './task-body.ts';

/** What the host runtime does with a task or a connector instance. */
export interface HostUnit {
  setPaused(paused: boolean): void;
  freeze(freeze: number): Promise<void>;
  committed(freeze: number): Promise<void>;
  stop(): Promise<void>;
}

/**
 * The life of a task in its host: start, run, stop, or fail at any moment. Whatever rejects ends this task and no other; `failed` and `stopped`
 * are posted when nothing of it runs any more.
 */
export class TaskUnit implements HostUnit {
  readonly #host: Host;
  readonly #unit: string;
  readonly #stopMs: number;
  readonly #stop: AbortController;
  readonly #body: TaskBody;
  readonly #started: Promise<void>;
  #running: Promise<void> = Promise.resolve();
  #ending: 'no' | 'stopping' | 'failing' = 'no';
  #hasFailed = false;

  /** `open` makes the task; what it throws is the task's failure. `stopMs` after a failure the task must have ended; 0: some time. */
  constructor(host: Host, unit: string, stopMs: number, hooks: UnitHooks, open: (unit: OpenUnit) => TaskBody) {
    this.#host = host;
    this.#unit = unit;
    this.#stopMs = stopMs;
    this.#stop = new AbortController();
    this.#body = open({
      stopSignal: this.#stop.signal,
      hooks,
      onFailed: (error) => this.#fail(error),
      onCommitWanted: () => this.#post({ type: 'commitWanted', unit }),
      onLastFrozen: (freeze, content) => this.#post({ type: 'frozen', unit, freeze, content }),
    });
    host.stats.add(unit, this.#body);
    this.#started = this.#start();
  }

  setPaused(paused: boolean): void {
    this.#body.setPaused(paused);
  }

  async freeze(freeze: number): Promise<void> {
    try {
      await this.#started;
      const content = await this.#body.freeze(freeze);
      if (this.#ending !== 'no' || content === null) return;
      // First, so that whatever is committed is counted, should the host die now.
      this.#host.stats.postChanged();
      this.#post({ type: 'frozen', unit: this.#unit, freeze, content });
    } catch (error) {
      this.#fail(error);
    }
  }

  async committed(freeze: number): Promise<void> {
    try {
      await this.#body.committed(freeze);
    } catch (error) {
      this.#fail(error);
    }
  }

  async stop(): Promise<void> {
    if (this.#ending !== 'no') return;
    this.#ending = 'stopping';
    this.#stop.abort(new Error('the task is to stop'));
    await this.#started;
    await this.#running;
    const content = this.#hasFailed
      ? null
      : await this.#body.finish().catch((error: unknown) => this.#logged('the last flush failed', error));
    await this.#end();
    this.#host.remove(this.#unit);
    this.#post({ type: 'stopped', unit: this.#unit, content: this.#hasFailed ? null : content });
  }

  async #start(): Promise<void> {
    try {
      await this.#body.start();
      if (this.#ending !== 'no') return;
      this.#post({ type: 'started', unit: this.#unit });
      this.#running = this.#body.run();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    // A stop that cannot end cleanly still ends: its last content is given up.
    if (this.#ending === 'stopping') this.#logged('the task failed while it stopped', error);
    else void this.#endFailed(error);
  }

  async #endFailed(error: unknown): Promise<void> {
    this.#ending = 'failing';
    this.#stop.abort(new Error('the task has failed'));
    const { clock, blame } = this.#host;
    const late = (): void => blame(this.#unit, error, true);
    const cancelTimer = this.#stopMs === 0 ? () => undefined : clock.after(this.#stopMs, late);
    // Not earlier: this may be called within start or run.
    await Promise.resolve();
    await this.#started;
    await this.#running;
    await this.#end();
    cancelTimer();
    this.#host.remove(this.#unit);
    this.#post({ type: 'failed', unit: this.#unit, error: this.#body.plainError(error) });
  }

  async #end(): Promise<void> {
    await this.#body.end().catch((error: unknown) => this.#logged('the task did not end well', error));
  }

  #logged(message: string, error: unknown): null {
    this.#body.logger.error(message, { error: this.#body.plainError(error).message });
    return null;
  }

  #post(event: HostEvent): void {
    this.#host.post(event);
  }
}

/** What a task needs of its unit. */
export interface OpenUnit {
  readonly stopSignal: AbortSignal;
  readonly hooks: UnitHooks;
  readonly onFailed: (error: unknown) => void;
  readonly onCommitWanted: () => void;
  /** While it stops: to be stored before the end. */
  readonly onLastFrozen: (freeze: number, content: CommitContent) => void;
}
