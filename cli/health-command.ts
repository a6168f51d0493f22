import { dirname } from 'node:path';
import { ConnectError } from '@rocketmq-connect/sdk';
import { printLine } from './output.ts';
import { settingsFrom } from './settings.ts';

/** For probes of containers: fails unless the process serves; with `alive` any answer will do. */
export async function health(options: Readonly<Record<string, unknown>>): Promise<void> {
  const { settings, file } = settingsFrom(options);
  const given = options['address'] === undefined ? undefined : String(options['address']);
  const { checkHealth } = await import('@rocketmq-connect/process/health');
  const { address, serves } = await checkHealth(settings, file === '' ? process.cwd() : dirname(file), given);
  if (!serves && options['alive'] !== true) {
    throw new ConnectError('unavailable', `${address} does not serve yet, or no more`, {
      code: 'NOT_SERVING',
      remedy: 'look at its log: it says what it waits for',
    });
  }
  printLine(serves ? 'serving' : 'alive');
}
