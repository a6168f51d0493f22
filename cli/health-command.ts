import { dirname } from 'node:path';
import { GrpcRpc } from '@rocketmq-connect/mesh/grpc';
import { advertisedAddress } from '@rocketmq-connect/process/advertised';
import { meshTls } from '@rocketmq-connect/process/pem-files';
import { HealthCheckResponse_ServingStatus, HealthDefinition } from '@rocketmq-connect/proto/grpc/health/v1/health';
import { ConnectError } from '@rocketmq-connect/sdk';
import { printLine } from './output.ts';
import { settingsFrom } from './settings.ts';

const DEADLINE_MS = 4_000;

/**
 * Asks a process of this machine how it is, by the settings it was started with: for probes of containers. Fails unless it serves; with
 * `alive` any answer will do.
 */
export async function health(options: Readonly<Record<string, unknown>>): Promise<void> {
  const { settings, file } = settingsFrom(options);
  const { port } = settings.grpc;
  const own = settings.advertise === '' ? `127.0.0.1:${port}` : advertisedAddress(settings, port);
  const address = options['address'] === undefined ? own : String(options['address']);
  const rpc = new GrpcRpc(meshTls(settings, file === '' ? process.cwd() : dirname(file)));
  try {
    const { status } = await rpc.client(HealthDefinition, () => [address]).check({ service: '' }, { deadlineMs: DEADLINE_MS });
    const serves = status === HealthCheckResponse_ServingStatus.SERVING;
    if (!serves && options['alive'] !== true) {
      throw new ConnectError('unavailable', `${address} does not serve yet, or no more`, {
        code: 'NOT_SERVING',
        remedy: 'look at its log: it says what it waits for',
      });
    }
    printLine(serves ? 'serving' : 'alive');
  } finally {
    await rpc.close();
  }
}
