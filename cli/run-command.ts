import { dirname } from 'node:path';
import { ConfigError } from '@rocketmq-connect/sdk';
import { settingsFrom } from './settings.ts';

export async function runStandalone(options: Readonly<Record<string, unknown>>): Promise<void> {
  const loaded = settingsFrom(options);
  const standalone = await import('@rocketmq-connect/standalone');
  await standalone.runStandalone(loaded, { quickstart: options['quickstart'] !== false });
}

/** Runs one service in a process of its own. */
export async function runService(name: string, options: Readonly<Record<string, unknown>>): Promise<void> {
  const { settings, file } = settingsFrom(options);
  const { runProcess } = await import('@rocketmq-connect/process');
  const services = [await factoryOf(name)];
  const baseDirectory = file === '' ? process.cwd() : dirname(file);
  await runProcess({ settings, baseDirectory, standalone: false, hasRest: name === 'gateway', services });
}

async function factoryOf(name: string) {
  switch (name) {
    case 'config-service':
      return (await import('@rocketmq-connect/config-service/main')).configService;
    case 'scheduler':
      return (await import('@rocketmq-connect/scheduler-service/main')).schedulerService;
    case 'task-runner':
      return (await import('@rocketmq-connect/task-runner-service/main')).taskRunner;
    case 'gateway':
      return (await import('@rocketmq-connect/gateway/main')).gateway;
    default:
      throw new ConfigError(`no such service: ${name}`, { remedy: 'one of config-service, scheduler, task-runner, gateway' });
  }
}
