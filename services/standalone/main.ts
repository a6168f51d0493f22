import { dirname } from 'node:path';
import { configService } from '@rocketmq-connect/config-service/main';
import type { LoadedSettings } from '@rocketmq-connect/configuration';
import { gateway } from '@rocketmq-connect/gateway/main';
import { type EndRequest, listenForEnd, type ProcessContext, startProcess } from '@rocketmq-connect/process';
import { schedulerService } from '@rocketmq-connect/scheduler-service/main';
import { taskRunner } from '@rocketmq-connect/task-runner-service/main';
import { startLiveLine } from './live-line.ts';
import { loadQuickstart } from './quickstart.ts';

export interface StandaloneOptions {
  /** Load the quickstart pipeline when there is no connector. */
  readonly quickstart: boolean;
}

/** The whole mesh in one process, over real gRPC on loopback, on the embedded store and log; ends at SIGINT or SIGTERM. */
export async function runStandalone(loaded: LoadedSettings, options: StandaloneOptions): Promise<void> {
  const end = listenForEnd();
  try {
    await runUntil(end, loaded, options);
  } finally {
    end.dispose();
  }
}

async function runUntil(end: EndRequest, { settings, file }: LoadedSettings, options: StandaloneOptions): Promise<void> {
  const startedAt = performance.now();
  let url = '';
  const withUrl = async (context: ProcessContext) => {
    const service = await gateway(context);
    const start = async (): Promise<void> => {
      await service.start();
      url = service.url();
    };
    return { ...service, start };
  };
  const running = await startProcess({
    settings,
    baseDirectory: file === '' ? process.cwd() : dirname(file),
    standalone: true,
    hasRest: true,
    services: [configService, schedulerService, taskRunner, withUrl],
  });
  const { context } = running;
  say(`RocketMQ Connect ${context.version} is ready in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  say(`  REST  ${url}   docs ${url}/docs   gRPC ${context.address()}   data ${context.dataDirectory()}`);

  if (options.quickstart) await sayQuickstart(context, end);
  const line = await startLiveLine(context, process.stdout.isTTY === true);
  await end.asked;
  line.stop();
  say('stopping: tasks commit and hand over (again to end at once)');
  await running.stop();
  say('stopped');
}

async function sayQuickstart(context: ProcessContext, end: EndRequest): Promise<void> {
  let asked = false;
  const quickstart = async (): Promise<void> => {
    try {
      const loaded = await loadQuickstart(context);
      if (loaded !== null) say(`  quickstart: echo hello >> ${loaded.source}   then look at ${loaded.copy}`);
    } catch (error) {
      // Whoever asks for the end takes the services away from it.
      if (!asked)
        context.log.error('the quickstart could not be loaded', { error: error instanceof Error ? error.message : String(error) });
    }
  };
  await Promise.race([
    quickstart(),
    end.asked.then(() => {
      asked = true;
    }),
  ]);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
