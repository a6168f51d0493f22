import { registerHooks } from 'node:module';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { FaultPlan } from './faults.ts';

/** One place of the product's own code, changed. */
export interface Mutation {
  /** Below the root. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface MutantSeeds {
  readonly from: number;
  readonly count: number;
  readonly plan?: FaultPlan;
}

const ROOT = new URL('../..', import.meta.url);

/** Runs seeds on changed code, in a thread that loads it for itself; resolves to the first violation, or ''. Rejects when there is no such place. */
export function runMutant(mutation: Mutation, seeds: MutantSeeds): Promise<string> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { mutation, seeds } });
  return new Promise((resolve, reject) => {
    worker.on('message', resolve);
    worker.on('error', reject);
    worker.on('exit', () => reject(new Error('the thread of the mutant ended early')));
  });
}

async function work({ mutation, seeds }: { readonly mutation: Mutation; readonly seeds: MutantSeeds }): Promise<void> {
  const changed = new URL(mutation.file, ROOT).href;
  let found = false;
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      if (url !== changed) return loaded;
      const source = String(loaded.source);
      found = source.split(mutation.find).length === 2;
      return { ...loaded, source: source.replace(mutation.find, () => mutation.replace) };
    },
  });
  const { run } = await import('./run.ts');
  if (!found) throw new Error(`${mutation.file} does not have this place once: ${mutation.find}`);
  let violation = '';
  for (let seed = seeds.from; seed < seeds.from + seeds.count && violation === ''; seed++) {
    ({ violation } = await run({ seed, ...(seeds.plan === undefined ? {} : { plan: seeds.plan }) }));
  }
  parentPort?.postMessage(violation);
}

if (!isMainThread) await work(workerData);
