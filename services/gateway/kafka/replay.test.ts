import assert from 'node:assert/strict';
import { fakeConfigService } from '../../../test/support/fake-config-service.ts';
import { gatewayBefore } from '../../../test/support/gateway.ts';

/**
 * One scenario, in order: what a Kafka Connect 4.3 worker was seen to answer to the same requests. Where a worker answers 500 to a bad
 * request, a 4xx stands here. Bodies are compared in the fields given; a text stands for the message of an error.
 */
const exchanges: readonly (readonly [method: string, path: string, body: unknown, status: number, answer?: unknown])[] = [
  ['GET', '/', undefined, 200, { version: '0.1.0', commit: 'unknown', kafka_cluster_id: 'default' }],
  ['HEAD', '/', undefined, 200],
  ['GET', '/health', undefined, 200, { status: 'healthy', message: 'Worker has completed startup and is ready to handle requests.' }],
  ['GET', '/connectors', undefined, 200, []],
  ['GET', '/connectors?expand=info&expand=status', undefined, 200, {}],
  [
    'GET',
    '/connector-plugins',
    undefined,
    200,
    [
      { class: 'org.apache.kafka.connect.file.FileStreamSinkConnector', type: 'sink', version: '0.1.0' },
      { class: 'org.apache.kafka.connect.file.FileStreamSourceConnector', type: 'source', version: '0.1.0' },
    ],
  ],
];

describe('replay', () => {
  it('works', async () => {
    const service = fakeConfigService();
    const gateway = await gatewayBefore(service.implementations);
    for (const [method, path, body, status, answer] of exchanges) {
      const reply = await gateway.request(method, path, { body });
      assert.equal(reply.status, status, `${method} ${path}: ${reply.text}`);
      if (answer !== undefined) assert.deepEqual(reply.json, answer);
    }
    await gateway.close();
  });
});
