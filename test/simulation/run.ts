import { TargetState } from '@rocketmq-connect/proto/common';
import { SINK, SOURCE, World, type Wraps } from './world.ts';

export interface RunOptions {
  readonly seed: number;
  readonly wraps?: Wraps;
}

export interface RunResult {
  readonly seed: number;
  /** '' when everything held. */
  readonly violation: string;
  readonly trace: readonly string[];
  readonly records: number;
  readonly virtualMs: number;
}

const STEP_MS = 100;
const GROW_EVERY_MS = 250;
const FAULTS_MS = 20_000;
const QUIET_MS_MAX = 180_000;

/** One life of a mesh, from its seed. */
export async function run(options: RunOptions): Promise<RunResult> {
  const world = new World({ ...options, runners: ['r1', 'r2', 'r3'], streams: 3, queues: 4 });
  const startMs = world.clock.monotonic();
  let violation = '';
  try {
    violation = await live(world);
  } catch (error) {
    violation = (error as Error).stack ?? String(error);
  }
  return {
    seed: options.seed,
    violation,
    trace: world.trace.lines,
    records: world.source.total,
    virtualMs: world.clock.monotonic() - startMs,
  };
}

async function live(world: World): Promise<string> {
  const { clock } = world;
  for (const name of [SOURCE, SINK]) {
    await clock.advance(2_000);
    void world.connectors
      .create({ name, config: world.config(name, 2), initialState: TargetState.RUNNING })
      .catch((error: Error) => world.trace.add('user', `create ${name}: ${error.message}`));
  }
  const endMs = clock.monotonic() + FAULTS_MS;
  let growing = true;
  const grow = (): void => {
    world.source.grow(Math.floor(world.random() * world.source.streams), 1 + Math.floor(world.random() * 3));
    if (growing) clock.after(GROW_EVERY_MS, grow);
  };
  grow();
  while (clock.monotonic() < endMs) {
    await clock.advance(STEP_MS);
    const [violated] = world.violations;
    if (violated !== undefined) return violated;
  }
  growing = false;
  const quietMs = clock.monotonic() + QUIET_MS_MAX;
  for (;;) {
    await clock.advance(STEP_MS);
    const [violated] = world.violations;
    if (violated !== undefined) return violated;
    const missing = world.undelivered() || (await world.unsettled());
    if (missing === '') return '';
    if (clock.monotonic() > quietMs) return `invariant 8: long after the faults stopped, ${missing}`;
  }
}
