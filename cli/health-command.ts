import { dirname } from 'node:path';
import { joinAddress } from '@rocketmq-connect/mesh/address';
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
    const why = await whatBlocks(settings.metrics.host, settings.metrics.port);
    throw new ConnectError('unavailable', `${address} does not serve yet, or no more${why === '' ? '' : `: ${why}`}`, {
      code: 'NOT_SERVING',
      remedy:
        why === ''
          ? 'look at its log, or at /health on its --metrics-port: they say what it waits for'
          : 'see /health on its --metrics-port',
    });
  }
  printLine(serves ? 'serving' : 'alive');
}

/** What the process says of itself, where it has a port for that; its answer is no more than a help. */
async function whatBlocks(host: string, port: number): Promise<string> {
  if (port <= 0) return '';
  const address = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  const answer = await fetch(`http://${joinAddress(address, port)}/health`, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
  const body = (await answer?.json().catch(() => null)) as { readonly message?: unknown } | null | undefined;
  return typeof body?.message === 'string' ? body.message : '';
}
