import { drawFaults, type FaultPlan, type Profile, unleash } from './faults.ts';
import { User } from './user.ts';
import { SINK, SOURCE, World, type Wraps } from './world.ts';

export interface RunOptions {
  readonly seed: number;
  /** Default `swarm`. */
  readonly profile?: Profile;
  /** Instead of what the seed draws. */
  readonly plan?: FaultPlan;
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
  const growth = options.profile === 'growth' ? { discoveryMs: 1_000 } : {};
  const world = new World({ ...options, runners: ['r1', 'r2', 'r3'], streams: 2 + (options.seed % 5), queues: 4, ...growth });
  const startMs = world.clock.monotonic();
  let violation = '';
  try {
    violation = await live(world, options.seed, options.plan ?? drawFaults(options.seed, options.profile ?? 'swarm', world, FAULTS_MS));
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

async function live(world: World, seed: number, plan: FaultPlan): Promise<string> {
  const { clock } = world;
  const user = new User(world);
  for (const name of [SOURCE, SINK]) void user.wantsRunning(name);
  const repair = unleash(plan, world, user, seed);
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
  repair();
  for (const name of [SOURCE, SINK]) void user.wantsRunning(name);
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
