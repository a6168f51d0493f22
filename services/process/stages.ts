import type { Clock } from '@rocketmq-connect/sdk';

export interface StageReport {
  readonly stage: string;
  /** `blocked`: the process does not serve for it. `degraded`: it serves, and something does not work. */
  readonly state: 'ready' | 'blocked' | 'degraded';
  /** What it waits for, or what is wrong. '' when ready. */
  readonly detail: string;
  /** Since the epoch. */
  readonly sinceMs: number;
}

/** One thing that a process needs, told by whoever knows. */
export interface Stage {
  ready(): void;
  /** Not ready, for this reason. */
  trouble(detail: string): void;
}

/** What a process needs to serve, and what of it is there: liveness, readiness and /health are made from it. */
export class Stages {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #reports = new Map<string, StageReport>();
  readonly #looks = new Map<string, () => string | null>();

  constructor(clock: Clock, onChange: () => void = () => undefined) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** A stage that is not ready yet, because of `detail`. Without `required` the process serves without it. */
  add(stage: string, detail: string, required = true): Stage {
    const state = required ? 'blocked' : 'degraded';
    this.#set(stage, state, detail);
    return { ready: () => this.#set(stage, 'ready', ''), trouble: (why) => this.#set(stage, state, why) };
  }

  /** What is looked at when somebody asks: what is wrong, or null. The process serves without it. */
  look(stage: string, whatIsWrong: () => string | null): void {
    this.#looks.set(stage, whatIsWrong);
  }

  get serves(): boolean {
    return [...this.#reports.values()].every(({ state }) => state !== 'blocked');
  }

  /** In the order in which they were added. */
  list(): readonly StageReport[] {
    for (const [stage, whatIsWrong] of this.#looks) {
      const detail = whatIsWrong();
      this.#set(stage, detail === null ? 'ready' : 'degraded', detail ?? '');
    }
    return [...this.#reports.values()];
  }

  #set(stage: string, state: StageReport['state'], detail: string): void {
    const before = this.#reports.get(stage);
    if (before?.state === state && before.detail === detail) return;
    const sinceMs = before?.state === state ? before.sinceMs : this.#clock.now();
    this.#reports.set(stage, { stage, state, detail, sinceMs });
    this.#onChange();
  }
}

/** What /health answers: Kafka Connect's fields, and every stage. */
export function healthBody(stages: Stages): { readonly status: number; readonly json: Readonly<Record<string, unknown>> } {
  const all = stages.list();
  const blocked = all.filter(({ state }) => state === 'blocked');
  const degraded = all.filter(({ state }) => state === 'degraded');
  const said = [...blocked, ...degraded].map(({ stage, detail }) => `${stage}: ${detail}`).join('; ');
  const message =
    blocked.length > 0
      ? `Worker is not ready: ${said}`
      : `Worker has completed startup and is ready to handle requests.${degraded.length > 0 ? ` But ${said}` : ''}`;
  return {
    status: blocked.length > 0 ? 503 : 200,
    json: {
      status: blocked.length > 0 ? 'unhealthy' : 'healthy',
      message,
      stages: all.map(({ stage, state, detail, sinceMs }) => ({ stage, state, detail, since: new Date(sinceMs).toISOString() })),
    },
  };
}
