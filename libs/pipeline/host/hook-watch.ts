import type { Clock } from '@rocketmq-connect/sdk';

/** How often it is looked for hooks that take too long. */
const LOOK_MS = 1000;

/** Which plugin hooks of a host run now, and which of them take longer than they may. */
export class HookWatch {
  readonly #clock: Clock;
  readonly #enter: (unitNumber: number) => void;
  readonly #calls = new Set<HookCall>();
  #inside = 0;
  #cancel: (() => void) | null = null;

  /** `enter` is told, before a hook's own code runs, the number of its unit, and 0 after it: whoever sees the thread blocked then knows by whom. */
  constructor(clock: Clock, enter: (unitNumber: number) => void) {
    this.#clock = clock;
    this.#enter = enter;
  }

  /** `onOverdue` is told each hook of this unit that takes too long, once per call. */
  of(unitNumber: number, onOverdue: (hook: string, limitMs: number) => void): UnitHooks {
    let resting = 0;
    return {
      call: (hook, limitMs, act) => {
        const call = { hook, limitMs, sinceMs: this.#clock.monotonic(), isResting: () => resting > 0, onOverdue };
        const outer = this.#inside;
        this.#moveTo(unitNumber);
        let result: ReturnType<typeof act>;
        try {
          result = act();
        } finally {
          this.#moveTo(outer);
        }
        if (limitMs > 0 && result instanceof Promise) this.#watch(call, result);
        return result;
      },
      rest: async (wait) => {
        resting++;
        try {
          return await wait;
        } finally {
          resting--;
        }
      },
    };
  }

  close(): void {
    this.#cancel?.();
    this.#calls.clear();
  }

  #moveTo(unitNumber: number): void {
    if (unitNumber === this.#inside) return;
    this.#inside = unitNumber;
    this.#enter(unitNumber);
  }

  #watch(call: HookCall, result: Promise<unknown>): void {
    this.#calls.add(call);
    const ended = (): void => void this.#calls.delete(call);
    result.then(ended, ended);
    this.#cancel ??= this.#clock.after(LOOK_MS, () => this.#look());
  }

  #look(): void {
    this.#cancel = null;
    const nowMs = this.#clock.monotonic();
    for (const call of this.#calls) {
      if (call.isResting()) call.sinceMs = nowMs;
      if (nowMs - call.sinceMs <= call.limitMs) continue;
      this.#calls.delete(call);
      call.onOverdue(call.hook, call.limitMs);
    }
    if (this.#calls.size > 0) this.#cancel = this.#clock.after(LOOK_MS, () => this.#look());
  }
}

/** The hooks of one unit. */
export interface UnitHooks {
  /** Calls a hook. `limitMs` 0: it may take as long as it wants. */
  call<T>(hook: string, limitMs: number, act: () => T): T;
  /** A wait that the pipeline knows to end: its time does not count. */
  rest<T>(wait: Promise<T>): Promise<T>;
}

interface HookCall {
  readonly hook: string;
  readonly limitMs: number;
  sinceMs: number;
  readonly isResting: () => boolean;
  readonly onOverdue: (hook: string, limitMs: number) => void;
}
