import type { Settings } from '@rocketmq-connect/configuration';
import { GrpcRpc } from '@rocketmq-connect/mesh/grpc';
import { HealthCheckResponse_ServingStatus, HealthDefinition } from '@rocketmq-connect/proto/grpc/health/v1/health';
import { advertisedAddress } from './advertised.ts';
import { meshTls } from './pem-files.ts';

const DEADLINE_MS = 4_000;

/**
 * Asks a process of this machine whether it serves, by the settings it was started with. `address` in place of what they say. Rejects with an
 * error of kind `unavailable` where nobody answers.
 */
export async function checkHealth(
  settings: Settings,
  baseDirectory: string,
  address = addressOf(settings),
): Promise<{ readonly address: string; readonly serves: boolean }> {
  const rpc = new GrpcRpc(meshTls(settings, baseDirectory));
  try {
    const { status } = await rpc.client(HealthDefinition, () => [address]).check({ service: '' }, { deadlineMs: DEADLINE_MS });
    return { address, serves: status === HealthCheckResponse_ServingStatus.SERVING };
  } finally {
    await rpc.close();
  }
}

function addressOf(settings: Settings): string {
  const { port } = settings.grpc;
  return settings.advertise === '' ? `127.0.0.1:${port}` : advertisedAddress(settings, port);
}
