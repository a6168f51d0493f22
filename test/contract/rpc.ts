import assert from 'node:assert/strict';
import { type CallContext, type Handlers, implement, type Rpc } from '@rocketmq-connect/mesh';
import { type CommitRequest, CommitServiceDefinition } from '@rocketmq-connect/proto/commit';
import { TargetState } from '@rocketmq-connect/proto/common';
import {
  type Connector,
  ConnectorServiceDefinition,
  type CreateRequest,
  type GetResponse,
  type WatchResponse,
} from '@rocketmq-connect/proto/connector';
import { ConfigError, ConnectError, DataError, type ErrorKind, RetriableError } from '@rocketmq-connect/sdk';

export interface RpcUnderTest {
  /** One mesh; `rpc` makes the view of a process. */
  rpc(process: string): Rpc;
  /** Lets `ms` pass, really or virtually. */
  pass(ms: number): Promise<void>;
}

/** What every adapter of `Rpc` does. */
export function rpcContract(name: string, open: () => RpcUnderTest): void {
  describe(`Rpc (${name})`, () => {
    let mesh: RpcUnderTest;
    const opened: Rpc[] = [];
    beforeEach(() => {
      mesh = open();
    });
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((rpc) => rpc.close()));
    });

    const process = (processName: string): Rpc => {
      const rpc = mesh.rpc(processName);
      opened.push(rpc);
      return rpc;
    };
    const serveConnectors = async (handlers: Partial<Handlers<typeof ConnectorServiceDefinition>>, processName = 'server') =>
      process(processName).serve('127.0.0.1:0', [
        implement(ConnectorServiceDefinition, handlers as Handlers<typeof ConnectorServiceDefinition>),
      ]);
    const connectorsAt = (...addresses: string[]) => process('client').client(ConnectorServiceDefinition, () => addresses);
    const eventually = async (condition: () => boolean, what: string): Promise<void> => {
      for (let round = 0; !condition(); round++) {
        assert.ok(round < 500, `${what} did not happen`);
        await mesh.pass(10);
      }
    };

    it('carries a request and its response with every type of field', async () => {
      let received: CreateRequest | undefined;
      const server = await serveConnectors({
        async create(request) {
          received = request;
          return { connector: connector({ name: request.name, configRevision: 2n ** 60n, tasks: [0, 1] }) };
        },
      });
      const request: CreateRequest = { name: 'a/ü %', config: { 'k.1': 'v', empty: '' }, initialState: 'TARGET_STATE_PAUSED' };
      const response = await connectorsAt(server.address).create(request);
      assert.deepEqual(received, request);
      assert.deepEqual(response.connector, connector({ name: 'a/ü %', configRevision: 2n ** 60n, tasks: [0, 1] }));
    });

    it('passes nothing by reference', async () => {
      const server = await serveConnectors({
        async create({ config }) {
          config['changed'] = 'by the server';
          return { connector: connector({}) };
        },
      });
      const config = { a: '1' };
      await connectorsAt(server.address).create({ name: 'a', config, initialState: 'TARGET_STATE_RUNNING' });
      assert.deepEqual(config, { a: '1' });
    });

    it('tells the handler who calls', async () => {
      const identities: string[] = [];
      const server = await serveConnectors({
        async get({ name }, { identity }) {
          identities.push(identity);
          return { connector: connector({ name }) };
        },
      });
      const client = connectorsAt(server.address);
      await client.get({ name: 'a' }, { identity: 'Zoë, ops=1' });
      await client.get({ name: 'a' });
      assert.deepEqual(identities, ['Zoë, ops=1', '']);
    });

    for (const kind of ['retriable', 'data', 'config', 'fatal', 'notFound', 'conflict', 'denied', 'unavailable'] as ErrorKind[]) {
      it(`carries an error of kind ${kind} with its code, field, remedy and fields`, async () => {
        const context = { code: 'SOME_CODE', field: 'file', remedy: 'name a file', fields: [{ field: 'file', message: 'missing' }] };
        const server = await serveConnectors({
          create: async () => {
            throw new ConnectError(kind, 'no such “file”\nat all', context);
          },
        });
        const error = await failure(connectorsAt(server.address).create({ name: 'a', config: {}, initialState: 'TARGET_STATE_RUNNING' }));
        assert.deepEqual(
          { kind: error.kind, message: error.message, code: error.code, field: error.field, remedy: error.remedy, fields: error.fields },
          { kind, message: 'no such “file”\nat all', ...context },
        );
      });
    }

    it('names errors as their classes do', async () => {
      const thrown = [new ConfigError('c'), new DataError('d'), new RetriableError('r')];
      const server = await serveConnectors({
        create: async ({ name }) => {
          throw thrown[Number(name)];
        },
      });
      for (const [index, error] of thrown.entries()) {
        const seen = await failure(
          connectorsAt(server.address).create({ name: String(index), config: {}, initialState: 'TARGET_STATE_RUNNING' }),
        );
        assert.deepEqual([seen.name, seen.kind, seen.code], [error.name, error.kind, error.code]);
      }
    });

    it('answers an unexpected error as fatal UNEXPECTED and shows no stack of the server', async () => {
      const server = await serveConnectors({
        create: async function thePlaceInTheServer() {
          throw new TypeError('x is not a function');
        },
      });
      const error = await failure(connectorsAt(server.address).create({ name: 'a', config: {}, initialState: 'TARGET_STATE_RUNNING' }));
      assert.deepEqual([error.kind, error.code, error.message], ['fatal', 'UNEXPECTED', 'x is not a function']);
      assert.doesNotMatch(error.stack ?? '', /thePlaceInTheServer/);
    });

    it('brings a very long message across, cut', async () => {
      const server = await serveConnectors({
        create: async () => {
          throw new ConfigError('é'.repeat(100_000), { remedy: 'r'.repeat(100_000) });
        },
      });
      const error = await failure(connectorsAt(server.address).create({ name: 'a', config: {}, initialState: 'TARGET_STATE_RUNNING' }));
      assert.equal(error.kind, 'config');
      assert.match(error.message, /^é{2999}…$/);
    });

    it('answers what is not served with UNIMPLEMENTED', async () => {
      const server = await serveConnectors({});
      const error = await failure(connectorsAt(server.address).get({ name: 'a' }));
      assert.deepEqual([error.kind, error.code], ['fatal', 'UNIMPLEMENTED']);
      assert.match(error.remedy ?? '', /upgrade/);
    });

    it('goes on to a peer that serves what an older one does not know', async () => {
      const [older, newer] = [
        await serveConnectors({}),
        await serveConnectors({ create: async () => ({ connector: connector({}) }) }, 'new'),
      ];
      const client = connectorsAt(older.address, newer.address);
      for (let call = 0; call < 4; call++) await client.create({ name: 'a', config: {}, initialState: 'TARGET_STATE_RUNNING' });
    });

    it('carries a value of an enum that the reader does not know as UNRECOGNIZED', async () => {
      let received: CreateRequest | undefined;
      const server = await serveConnectors({
        create: async (request) => {
          received = request;
          return { connector: connector({ targetState: TargetState.UNRECOGNIZED }) };
        },
      });
      const response = await connectorsAt(server.address).create({ name: 'a', config: {}, initialState: TargetState.UNRECOGNIZED });
      assert.deepEqual([received?.initialState, response.connector?.targetState], [TargetState.UNRECOGNIZED, TargetState.UNRECOGNIZED]);
    });

    it('ends a call at its deadline and aborts its handler', async () => {
      const seen: CallContext[] = [];
      const server = await serveConnectors({ get: (_, context) => forever(seen, context) });
      const call = failure(connectorsAt(server.address).get({ name: 'a' }, { deadlineMs: 200 }));
      await mesh.pass(300);
      const error = await call;
      assert.deepEqual([error.kind, error.code], ['unavailable', 'DEADLINE_EXCEEDED']);
      await eventually(() => seen[0]?.signal.aborted === true, 'the abort of the handler');
    });

    it('ends a call when its caller cancels and aborts its handler', async () => {
      const seen: CallContext[] = [];
      const server = await serveConnectors({ get: (_, context) => forever(seen, context) });
      const controller = new AbortController();
      const client = connectorsAt(server.address);
      const call = failure(client.get({ name: 'a' }, { signal: controller.signal }));
      await eventually(() => seen.length === 1, 'the call');
      controller.abort();
      assert.equal((await call).code, 'CANCELLED');
      await eventually(() => seen[0]?.signal.aborted === true, 'the abort of the handler');
      assert.equal((await failure(client.get({ name: 'a' }, { signal: controller.signal }))).code, 'CANCELLED');
      assert.equal(seen.length, 1);
    });

    it('rejects with unavailable where no endpoint is known, or nobody listens', async () => {
      const none = await failure(connectorsAt().get({ name: 'a' }));
      assert.deepEqual([none.kind, none.code], ['unavailable', 'NO_ENDPOINT']);
      const server = await serveConnectors({});
      await server.stop(0);
      assert.equal((await failure(connectorsAt(server.address).get({ name: 'a' }))).kind, 'unavailable');
      const stream = connectorsAt(server.address).watch({});
      assert.equal((await failure(collect(stream))).kind, 'unavailable');
    });

    it('takes the endpoints in turn and the next one where nobody listens, also for writes', async () => {
      const counts = [0, 0];
      const counting = (index: number): Partial<Handlers<typeof ConnectorServiceDefinition>> => ({
        delete: async () => {
          counts[index] = (counts[index] ?? 0) + 1;
          return {};
        },
      });
      const first = await serveConnectors(counting(0), 'server-1');
      const second = await serveConnectors(counting(1), 'server-2');
      const client = connectorsAt(first.address, second.address);
      for (let i = 0; i < 6; i++) await client.delete({ name: 'a', resetOffsets: true });
      assert.deepEqual(counts, [3, 3]);
      await first.stop(0);
      for (let i = 0; i < 4; i++) await client.delete({ name: 'a', resetOffsets: true });
      assert.deepEqual(counts, [3, 7]);
    });

    it('repeats a read, never a write, on another endpoint when an instance is unavailable', async () => {
      const seen: string[] = [];
      const broken: Partial<Handlers<typeof ConnectorServiceDefinition>> = {
        get: async () => {
          throw new ConnectError('unavailable', 'the store is away');
        },
        delete: async () => {
          seen.push('delete');
          throw new ConnectError('unavailable', 'the store is away');
        },
      };
      const working: Partial<Handlers<typeof ConnectorServiceDefinition>> = {
        get: async ({ name }): Promise<GetResponse> => ({ connector: connector({ name }) }),
        delete: async () => assert.fail('repeated'),
      };
      const first = await serveConnectors(broken, 'server-1');
      const second = await serveConnectors(working, 'server-2');
      const client = connectorsAt(first.address, second.address);
      assert.equal((await client.get({ name: 'a' })).connector?.name, 'a');
      await client.get({ name: 'b' });
      assert.equal((await failure(client.delete({ name: 'a', resetOffsets: true }))).message, 'the store is away');
      assert.deepEqual(seen, ['delete']);
    });

    it('reaches a server again as soon as it is back at its address', async () => {
      const handlers = { get: async ({ name }: { name: string }) => ({ connector: connector({ name }) }) };
      const server = await serveConnectors(handlers);
      const client = connectorsAt(server.address);
      await client.get({ name: 'a' });
      await server.stop(0);
      for (let i = 0; i < 5; i++) assert.equal((await failure(client.get({ name: 'a' }))).kind, 'unavailable');
      await process('server').serve(server.address, [
        implement(ConnectorServiceDefinition, handlers as unknown as Handlers<typeof ConnectorServiceDefinition>),
      ]);
      assert.equal((await client.get({ name: 'b' })).connector?.name, 'b');
    });

    it('refuses an address that is taken, with the port and what to do', async () => {
      const server = await serveConnectors({});
      const port = server.address.split(':')[1];
      const error = await failure(process('other').serve(server.address, []));
      assert.deepEqual([error.kind, error.code, error.field], ['config', 'PORT_IN_USE', 'grpc.port']);
      assert.match(error.message, new RegExp(`port ${port}`));
      assert.match(error.remedy ?? '', /--grpc-port/);
    });

    it('streams responses in order to their end', async () => {
      const server = await serveConnectors({
        async *watch() {
          for (let i = 0; i < 100; i++) yield deleted(String(i));
        },
      });
      const names = await collect(connectorsAt(server.address).watch({}));
      assert.deepEqual(
        names.map((item) => item.deleted),
        [...Array(100).keys()].map(String),
      );
    });

    it('delivers what was streamed before an error, then the error', async () => {
      const server = await serveConnectors({
        async *watch() {
          for (let i = 0; i < 40; i++) yield deleted(String(i));
          throw new ConnectError('conflict', 'compacted', { code: 'COMPACTED' });
        },
      });
      const names: string[] = [];
      const error = await failure(
        (async () => {
          for await (const item of connectorsAt(server.address).watch({})) names.push(item.deleted);
        })(),
      );
      assert.deepEqual([error.kind, error.code, names.length], ['conflict', 'COMPACTED', 40]);
    });

    it('ends the handler of a stream whose reader leaves, running its finally', async () => {
      let ended = false;
      const server = await serveConnectors({
        async *watch(_, { signal }) {
          try {
            while (!signal.aborted) yield deleted('x');
          } finally {
            ended = true;
          }
        },
      });
      for await (const _ of connectorsAt(server.address).watch({})) break;
      await eventually(() => ended, 'the end of the handler');
    });

    it('holds a sender whose reader is slow', async () => {
      let produced = 0;
      const big = 'x'.repeat(64 * 1024);
      const server = await serveConnectors({
        async *watch() {
          while (true) {
            produced++;
            yield deleted(big);
          }
        },
      });
      const reader = connectorsAt(server.address).watch({})[Symbol.asyncIterator]();
      await reader.next();
      let before = -1;
      for (let round = 0; round < 100 && before !== produced; round++) {
        before = produced;
        await mesh.pass(30);
      }
      assert.ok(produced < 300, `${produced} messages of 64 KiB were produced for one that was read`);
      await reader.return?.();
    });

    it('answers the pieces of a bidirectional stream in order', async () => {
      const server = await process('server').serve('127.0.0.1:0', [commits()]);
      const client = process('client').client(CommitServiceDefinition, () => [server.address]);
      const sequences: bigint[] = [];
      for await (const { sequence } of client.commit(pieces(200))) sequences.push(sequence);
      assert.deepEqual(
        sequences,
        [...Array(200).keys()].map((i) => BigInt(i)),
      );
    });

    it('breaks open streams of a stopping server after its grace, with unavailable', async () => {
      const server = await serveConnectors({
        async *watch(_, context) {
          yield deleted('first');
          await forever([], context);
        },
      });
      const reader = connectorsAt(server.address).watch({})[Symbol.asyncIterator]();
      await reader.next();
      const next = failure(reader.next());
      const stopped = server.stop(100);
      await mesh.pass(150);
      await stopped;
      assert.equal((await next).kind, 'unavailable');
    });

    it('lets a running call end within the grace of a stopping server', async () => {
      const release = Promise.withResolvers<void>();
      let running = false;
      const server = await serveConnectors({
        async get({ name }) {
          running = true;
          await release.promise;
          return { connector: connector({ name }) };
        },
      });
      const call = connectorsAt(server.address).get({ name: 'a' });
      await eventually(() => running, 'the call');
      const stopped = server.stop(5_000);
      release.resolve();
      assert.equal((await call).connector?.name, 'a');
      await mesh.pass(0);
      await stopped;
    });

    it('fails a stream with the error of its own requests', async () => {
      const server = await process('server').serve('127.0.0.1:0', [commits()]);
      const client = process('client').client(CommitServiceDefinition, () => [server.address]);
      const requests = async function* (): AsyncIterable<CommitRequest> {
        yield* pieces(1);
        throw new ConnectError('fatal', 'the sender broke', { code: 'SENDER' });
      };
      assert.equal((await failure(collect(client.commit(requests())))).code, 'SENDER');
    });
  });
}

function connector(fields: Partial<Connector>): Connector {
  return {
    name: '',
    config: {},
    type: 'CONNECTOR_TYPE_SOURCE',
    targetState: 'TARGET_STATE_RUNNING',
    configRevision: 0n,
    tasks: [],
    warnings: [],
    ...fields,
  };
}

function deleted(name: string): WatchResponse {
  return { connector: undefined, deleted: name, synced: false };
}

function commits() {
  const handlers = {
    async *commit(requests: AsyncIterable<CommitRequest>) {
      for await (const { connector: name, task, token, sequence } of requests) {
        yield { connector: name, task, token, sequence, result: 'COMMIT_RESULT_OK' as const, message: '' };
      }
    },
  };
  return implement(CommitServiceDefinition, handlers as unknown as Handlers<typeof CommitServiceDefinition>);
}

async function* pieces(count: number): AsyncIterable<CommitRequest> {
  for (let i = 0; i < count; i++) {
    yield {
      connector: 'a',
      task: 0,
      generation: '',
      token: 1n,
      sequence: BigInt(i),
      offsets: [],
      sinkStates: {},
      marks: [],
      topics: [],
      release: false,
      releaseStatus: undefined,
      traceparent: '',
    };
  }
}

function forever(seen: CallContext[], context: CallContext): Promise<never> {
  seen.push(context);
  return new Promise((_, reject) => context.signal.addEventListener('abort', () => reject(context.signal.reason)));
}

async function failure(promise: Promise<unknown>): Promise<ConnectError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof ConnectError, String(error));
    return error;
  }
  assert.fail('it succeeded');
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
