import assert from 'node:assert/strict';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { ConnectorServiceDefinition, CreateRequest } from '@rocketmq-connect/proto/connector';
import { HealthDefinition } from '@rocketmq-connect/proto/grpc/health/v1/health';
import { type ServerReflectionRequest, ServerReflectionDefinition as V1 } from '@rocketmq-connect/proto/grpc/reflection/v1/reflection';
import { ServerReflectionDefinition as V1Alpha } from '@rocketmq-connect/proto/grpc/reflection/v1alpha/reflection';
import { ConnectError, type ErrorKind } from '@rocketmq-connect/sdk';
import { GrpcRpc } from './grpc.ts';
import { type Handlers, implement, ServingState } from './index.ts';

describe('a gRPC server', () => {
  const rpc = new GrpcRpc();
  afterEach(() => rpc.close());

  const serve = (handlers: Partial<Handlers<typeof ConnectorServiceDefinition>> = {}) =>
    rpc.serve('127.0.0.1:0', [implement(ConnectorServiceDefinition, handlers as Handlers<typeof ConnectorServiceDefinition>)]);

  for (const [kind, code, expected] of [
    ['config', 'CONFIG_INVALID', status.INVALID_ARGUMENT],
    ['data', 'DATA', status.INVALID_ARGUMENT],
    ['notFound', 'NOT_FOUND', status.NOT_FOUND],
    ['conflict', 'ALREADY_EXISTS', status.ALREADY_EXISTS],
    ['conflict', 'ABORTED', status.ABORTED],
    ['conflict', 'REVISION_MISMATCH', status.FAILED_PRECONDITION],
    ['denied', 'DENIED', status.PERMISSION_DENIED],
    ['denied', 'UNAUTHENTICATED', status.UNAUTHENTICATED],
    ['unavailable', 'NO_RUNNER', status.UNAVAILABLE],
    ['retriable', 'RETRIABLE', status.UNAVAILABLE],
    ['fatal', 'UNEXPECTED', status.INTERNAL],
  ] as [ErrorKind, string, status][]) {
    it(`answers ${kind} ${code} with ${status[expected]}, message and remedy in words for people`, async () => {
      const server = await serve({
        create: async () => {
          throw new ConnectError(kind, 'it is so', { code, remedy: 'do this' });
        },
      });
      const error = await rawCreate(server.address);
      assert.equal(status[error.code], status[expected]);
      assert.equal(error.details, 'it is so (do this)');
    });
  }

  it('refuses messages over 4 MiB with an error that says so', async () => {
    const server = await serve({ create: async () => ({ connector: undefined }) });
    const client = rpc.client(ConnectorServiceDefinition, () => [server.address]);
    const big = client.create({ name: 'x'.repeat(5 * 1024 * 1024), config: {}, initialState: 'TARGET_STATE_RUNNING' });
    await assert.rejects(big, (error: ConnectError) => {
      assert.deepEqual([error.kind, error.code], ['data', 'RESOURCE_EXHAUSTED']);
      return /larger|max/.test(error.message);
    });
    await client.create({ name: 'x'.repeat(3 * 1024 * 1024), config: {}, initialState: 'TARGET_STATE_RUNNING' });
  });

  it('tells its health by service, as a whole, and NOT_SERVING while it stops', async () => {
    let release = (): void => {};
    const server = await serve({
      list: () =>
        new Promise((resolve) => {
          release = () => resolve({ connectors: [], statuses: {} });
        }),
    });
    const health = rpc.client(HealthDefinition, () => [server.address]);
    for (const service of ['', 'rocketmq.connect.v1.ConnectorService']) assert.equal((await health.check({ service })).status, 'SERVING');
    await assert.rejects(health.check({ service: 'other' }), { kind: 'notFound' });
    const watched: string[] = [];
    const watching = (async () => {
      for await (const answer of health.watch({ service: '' })) watched.push(answer.status);
    })();
    const call = rpc.client(ConnectorServiceDefinition, () => [server.address]).list({ withStatus: false });
    while (watched.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const stopped = server.stop(5_000);
    await watching;
    assert.deepEqual(watched, ['SERVING', 'NOT_SERVING']);
    release();
    await Promise.all([call, stopped]);
  });

  it('tells what it is told: NOT_SERVING for a while, to who asks and to who watches', async () => {
    const state = new ServingState(false);
    const server = await rpc.serve('127.0.0.1:0', [], state);
    const health = rpc.client(HealthDefinition, () => [server.address]);
    const watched: string[] = [];
    const watching = (async () => {
      for await (const { status: now } of health.watch({ service: '' })) if (watched.push(now) === 3) return;
    })();
    const told = async (count: number): Promise<void> => {
      while (watched.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await told(1);
    state.set(true);
    await told(2);
    assert.equal((await health.check({ service: '' })).status, 'SERVING');
    state.set(false);
    await watching;
    assert.deepEqual(watched, ['NOT_SERVING', 'SERVING', 'NOT_SERVING']);
  });

  for (const [version, definition] of [
    ['v1', V1],
    ['v1alpha', V1Alpha],
  ] as const) {
    it(`describes itself by reflection ${version}, with all that files import`, async () => {
      const server = await serve();
      const ask = async (messageRequest: ServerReflectionRequest['messageRequest']) => {
        const requests = async function* (): AsyncIterable<ServerReflectionRequest> {
          yield { host: 'h', messageRequest };
        };
        for await (const { messageResponse } of rpc.client(definition, () => [server.address]).serverReflectionInfo(requests())) {
          return messageResponse;
        }
        return assert.fail('no answer');
      };
      const listed = await ask({ $case: 'listServices', value: '' });
      assert.ok(listed?.$case === 'listServicesResponse');
      assert.deepEqual(listed.value.service.map(({ name }) => name).sort(), [
        'grpc.health.v1.Health',
        'grpc.reflection.v1.ServerReflection',
        'grpc.reflection.v1alpha.ServerReflection',
        'rocketmq.connect.v1.ConnectorService',
      ]);
      for (const { name } of listed.value.service) {
        for (const symbol of [
          name,
          `${name}.${name.endsWith('Health') ? 'Check' : name.endsWith('Reflection') ? 'ServerReflectionInfo' : 'Get'}`,
        ]) {
          const files = fileNames(await ask({ $case: 'fileContainingSymbol', value: symbol }));
          assert.ok(files.length > 0, symbol);
          if (name.startsWith('rocketmq')) assert.ok(files.includes('google/protobuf/descriptor.proto'), files.join());
        }
      }
      assert.deepEqual(fileNames(await ask({ $case: 'fileByFilename', value: 'rocketmq/connect/v1/common.proto' })), [
        'rocketmq/connect/v1/common.proto',
      ]);
      const unknown = await ask({ $case: 'fileContainingSymbol', value: 'no.such.Thing' });
      assert.ok(unknown?.$case === 'errorResponse' && unknown.value.errorCode === status.NOT_FOUND);
      const extension = { containingType: 'google.protobuf.MethodOptions', extensionNumber: 72_295_728 };
      assert.ok(fileNames(await ask({ $case: 'fileContainingExtension', value: extension })).includes('google/api/annotations.proto'));
    });
  }
});

describe('a gRPC client of several peers', () => {
  const rpc = new GrpcRpc();
  after(() => rpc.close());

  it('gives streams, too, to a peer that it is connected to while another does not answer', async () => {
    const dead = await rpc.serve('127.0.0.1:0', []);
    await dead.stop(0);
    const live = await rpc.serve('127.0.0.1:0', []);
    const health = rpc.client(HealthDefinition, () => [dead.address, live.address]);
    assert.equal((await health.check({ service: '' })).status, 'SERVING');
    for (let i = 0; i < 4; i++) for await (const { status: now } of health.watch({ service: '' })) if (now === 'SERVING') break;
  });
});

function fileNames(answer: { readonly $case: string; readonly value: unknown } | undefined): string[] {
  assert.ok(answer?.$case === 'fileDescriptorResponse', answer?.$case);
  const { fileDescriptorProto } = answer.value as { fileDescriptorProto: Buffer[] };
  return fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
}

/** What a client that is not ours gets. */
function rawCreate(address: string): Promise<ServiceError> {
  const channel = new Client(address, credentials.createInsecure());
  const bytes = Buffer.from(CreateRequest.encode({ name: 'a', config: {}, initialState: 'TARGET_STATE_RUNNING' }).finish());
  return new Promise((resolve, reject) => {
    const path = '/rocketmq.connect.v1.ConnectorService/Create';
    channel.makeUnaryRequest(
      path,
      (message: Buffer) => message,
      String,
      bytes,
      (error) => {
        channel.close();
        if (error === null) reject(new Error('it succeeded'));
        else resolve(error);
      },
    );
  });
}
