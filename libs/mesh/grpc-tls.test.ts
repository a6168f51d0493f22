import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HealthDefinition } from '@rocketmq-connect/proto/grpc/health/v1/health';
import { createCertificates } from '../../test/support/certificates.ts';
import { GrpcRpc, type MeshTls } from './grpc.ts';

describe('a certificate that all processes of a mesh share', () => {
  let folder: string;
  let shared: MeshTls;
  const opened: GrpcRpc[] = [];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'grpc-tls-'));
    const { ca, cert, key } = await createCertificates(folder, 'DNS:mesh.example');
    shared = { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) };
  });
  after(async () => {
    for (const rpc of opened) await rpc.close();
    rmSync(folder, { recursive: true });
  });

  const open = (tls: MeshTls): GrpcRpc => {
    const rpc = new GrpcRpc(tls);
    opened.push(rpc);
    return rpc;
  };
  const ask = async (server: MeshTls, client: MeshTls): Promise<string> => {
    const { address } = await open(server).serve('127.0.0.1:0', []);
    const { status } = await open(client)
      .client(HealthDefinition, () => [address])
      .check({ service: '' });
    return status;
  };

  it('is taken by its name, at any address', async () => {
    const named = { ...shared, serverName: 'mesh.example' };
    assert.equal(await ask(named, named), 'SERVING');
  });

  it('is refused where it is not for the address, or is of another name', async () => {
    await assert.rejects(ask(shared, shared), /127\.0\.0\.1/);
    await assert.rejects(ask(shared, { ...shared, serverName: 'other.example' }), /other\.example/);
  });
});
