import type { Worker } from 'node:worker_threads';

const SAMPLE_MS = 100;
const GIVE_UP_MS = 1000;

/** Where the code runs that keeps a thread's event loop from turning: `file:///…/plugin.ts:41`. Undefined where that cannot be told. */
export function blockedCode(worker: Worker): Promise<string | undefined> {
  return new Promise((resolve) => {
    // A thread that is stuck in native code answers nothing.
    const late = setTimeout(() => resolve(undefined), GIVE_UP_MS);
    sample(worker)
      .then(resolve, () => resolve(undefined))
      .finally(() => clearTimeout(late));
  });
}

async function sample(worker: Worker): Promise<string | undefined> {
  // Since Node 24.8.
  const started = await worker.startCpuProfile?.();
  if (started === undefined) return undefined;
  await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
  return hottestFile(JSON.parse(await started.stop()) as CpuProfile);
}

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly url: string; readonly lineNumber: number };
    readonly hitCount?: number;
    readonly children?: readonly number[];
  }[];
}

/** Of the code that was seen most often, the innermost that lies in a file. */
function hottestFile({ nodes }: CpuProfile): string | undefined {
  const parents = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node] as const)));
  const hottest = nodes.toSorted((a, b) => (b.hitCount ?? 0) - (a.hitCount ?? 0))[0];
  for (let node = hottest; node !== undefined; node = parents.get(node.id)) {
    const { url, lineNumber } = node.callFrame;
    if (url.startsWith('file:')) return `${url}:${lineNumber + 1}`;
  }
  return undefined;
}
