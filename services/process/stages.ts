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

  constructor(clock: Clock, onChange: () => void = () => undefined) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** A stage that is not ready yet, because of `detail`. Without `required` the process serves without it. */
  add(stage: string, detail: string, required = true): Stage {
    const state = required ? 'blocked' : 'degraded';
    const set = (next: Pick<StageReport, 'state' | 'detail'>): void => {
      const before = this.#reports.get(stage);
      if (before?.state === next.state && before.detail === next.detail) return;
      const sinceMs = before?.state === next.state ? before.sinceMs : this.#clock.now();
      this.#reports.set(stage, { stage, ...next, sinceMs });
      this.#onChange();
    };
    set({ state, detail });
    return { ready: () => set({ state: 'ready', detail: '' }), trouble: (why) => set({ state, detail: why }) };
  }

  get serves(): boolean {
    return this.list().every(({ state }) => state !== 'blocked');
  }

  /** In the order in which they were added. */
  list(): readonly StageReport[] {
    return [...this.#reports.values()];
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
