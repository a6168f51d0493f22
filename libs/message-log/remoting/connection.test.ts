import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { systemClock } from '../../configuration/system-clock.ts';
import { RemotingConnection } from './connection.ts';

describe('A connection to a broker that stalls', () => {
  let server: Server;
  let peer: Socket;
  beforeEach(async () => {
    server = createServer((socket) => {
      peer = socket.pause();
      socket.on('error', () => {});
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    peer.destroy();
    server.close();
  });

  it('is given up together with what the broker has not taken in: a batch that was looked for in vain does not arrive later', async () => {
    const { port } = server.address() as AddressInfo;
    const connection = await RemotingConnection.open(`127.0.0.1:${port}`, { clock: systemClock, connectTimeoutMs: 5_000 });
    // More than a peer that does not read takes in, less than the system takes over from us.
    const body = Buffer.alloc(1024 * 1024);
    await assert.rejects(connection.invoke({ code: 320, fields: {}, body }, 100), { code: 'REQUEST_TIMEOUT' });
    assert.ok(!connection.isOpen);
    let arrived = 0;
    peer.on('data', (chunk) => (arrived += chunk.length)).resume();
    await new Promise((resolve) => peer.once('close', resolve));
    assert.ok(arrived < body.length, `${arrived} bytes arrived of a request that was given up`);
  });
});
