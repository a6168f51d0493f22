import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { ProcessContext } from '@rocketmq-connect/process';
import { TargetState } from '@rocketmq-connect/proto/common';
import { ConnectorServiceDefinition } from '@rocketmq-connect/proto/connector';
import { ConnectError, sleep } from '@rocketmq-connect/sdk';
import { parseAllDocuments } from 'yaml';

const EXAMPLE = new URL('../../examples/quickstart/', import.meta.url);
const RUNNER_WAIT_MS = 10_000;

/** Creates the quickstart pipeline when there is no connector at all; null where there is one, or the example is not shipped. */
export async function loadQuickstart(context: ProcessContext): Promise<{ readonly source: string; readonly copy: string } | null> {
  const connectors = context.rpc.client(ConnectorServiceDefinition, await context.endpointsOf('config'));
  const present = await connectors.list({ withStatus: false });
  if (present.connectors.length > 0 || !existsSync(EXAMPLE)) return null;
  const folder = join(context.dataDirectory(), 'quickstart');
  const source = join(folder, 'lines.txt');
  mkdirSync(folder, { recursive: true });
  if (!existsSync(source)) copyFileSync(new URL('lines.txt', EXAMPLE), source);
  const text = readFileSync(new URL('connectors.yaml', EXAMPLE), 'utf8').replaceAll('{dataDir}', context.dataDirectory());
  for (const document of parseAllDocuments(text)) {
    const { name, config } = document.toJSON() as { name: string; config: Record<string, unknown> };
    const texts = Object.fromEntries(Object.entries(config).map(([key, value]) => [key, String(value)]));
    await whenRunnerIsThere(context, () => connectors.create({ name, config: texts, initialState: TargetState.RUNNING }));
  }
  return { source: relative(process.cwd(), source), copy: relative(process.cwd(), join(folder, 'copy.txt')) };
}

/** The runner registers a moment after the ports are open; configurations are validated by its plugins. */
async function whenRunnerIsThere(context: ProcessContext, act: () => Promise<unknown>): Promise<void> {
  const until = context.clock.monotonic() + RUNNER_WAIT_MS;
  for (;;) {
    try {
      await act();
      return;
    } catch (error) {
      const wait = error instanceof ConnectError && error.kind === 'unavailable' && context.clock.monotonic() < until;
      if (!wait) throw error;
      await sleep(context.clock, 50);
    }
  }
}
