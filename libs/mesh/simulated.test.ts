import assert from 'node:assert/strict';
import { type CommitRequest, type CommitResponse, CommitServiceDefinition, type ReadResponse } from '@rocketmq-connect/proto/commit';
import { type ConnectError, sleep } from '@rocketmq-connect/sdk';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { type Handlers, implement } from './index.ts';
import { type Fault, SimulatedNetwork, SimulatedRpc } from './simulated.ts';

describe('the simulated network', () => {
  it('carries out a dropped request never, and the caller waits for its deadline', async () => {
    const mesh = await commitMesh();
    mesh.network.inject(() => ({ drop: true }));
    const read = outcome(mesh.client.read({ connector: 'a', task: 0 }, { deadlineMs: 500 }));
    await mesh.clock.advance(499);
    assert.equal(read.settled(), false);
    await mesh.clock.advance(1);
    assert.equal((await read.error()).code, 'DEADLINE_EXCEEDED');
    assert.deepEqual(mesh.reads, []);
  });

  it('carries out a request whose answer is dropped', async () => {
    const mesh = await commitMesh();
    mesh.network.inject(({ direction }) => (direction === 'response' ? { drop: true } : undefined));
    const read = outcome(mesh.client.read({ connector: 'a', task: 0 }, { deadlineMs: 500 }));
    await mesh.clock.advance(500);
    assert.equal((await read.error()).kind, 'unavailable');
    assert.deepEqual(mesh.reads, ['a']);
  });

  it('carries out a duplicated request twice and answers once', async () => {
    const mesh = await commitMesh();
    mesh.network.inject(({ kind }) => (kind === 'open' ? { duplicate: true } : undefined));
    assert.equal((await mesh.client.read({ connector: 'a', task: 0 })).revision, 7n);
    assert.deepEqual(mesh.reads, ['a', 'a']);
  });

  it('delays by call, so that a later call overtakes', async () => {
    const mesh = await commitMesh();
    let delays = [100, 0];
    mesh.network.inject(({ kind }): Fault => {
      if (kind !== 'open') return {};
      const [delayMs = 0, ...rest] = delays;
      delays = rest;
      return { delayMs };
    });
    const slow = outcome(mesh.client.read({ connector: 'slow', task: 0 }));
    const fast = outcome(mesh.client.read({ connector: 'fast', task: 0 }));
    await mesh.clock.advance(50);
    assert.equal(fast.settled(), true);
    assert.equal(slow.settled(), false);
    await mesh.clock.advance(50);
    assert.equal(slow.settled(), true);
    assert.deepEqual(mesh.reads, ['fast', 'slow']);
  });

  it('keeps the messages of one stream in order whatever their delays', async () => {
    const mesh = await commitMesh();
    let step = 50;
    mesh.network.inject(() => {
      step = (step * 7) % 53;
      return { delayMs: step };
    });
    const answers: bigint[] = [];
    const done = (async () => {
      for await (const { sequence } of mesh.client.commit(pieces(40))) answers.push(sequence);
    })();
    await mesh.clock.advance(5_000);
    await done;
    assert.deepEqual(answers, [...Array(40).keys()].map(BigInt));
  });

  it('breaks calls at a cut and refuses new ones until healed', async () => {
    const mesh = await commitMesh();
    const waiting = outcome(mesh.client.read({ connector: 'hang', task: 0 }));
    await mesh.clock.settle();
    mesh.network.partition('runner', 'config');
    assert.equal((await waiting.error()).kind, 'unavailable');
    await assert.rejects(mesh.client.read({ connector: 'b', task: 0 }), { kind: 'unavailable', code: 'UNAVAILABLE' });
    mesh.network.heal('runner', 'config');
    await mesh.client.read({ connector: 'c', task: 0 });
    assert.deepEqual(mesh.reads, ['hang', 'c']);
    assert.equal(mesh.network.openCalls, 0);
  });

  it('carries out a request late that a silent partition held back, after its caller gave up', async () => {
    const mesh = await commitMesh();
    mesh.network.partition('runner', 'config', 'silent');
    const read = outcome(mesh.client.read({ connector: 'late', task: 0 }, { deadlineMs: 1_000 }));
    await mesh.clock.advance(2_000);
    assert.equal((await read.error()).code, 'DEADLINE_EXCEEDED');
    assert.deepEqual(mesh.reads, []);
    mesh.network.heal();
    await mesh.clock.settle();
    assert.deepEqual(mesh.reads, ['late']);
  });

  it('ends a stream without a deadline when keep-alives go unanswered', async () => {
    const mesh = await commitMesh();
    const stream = mesh.client.commit(never());
    const first = outcome(stream[Symbol.asyncIterator]().next());
    await mesh.clock.settle();
    mesh.network.partition('runner', 'config', 'silent');
    await mesh.clock.advance(24_999);
    assert.equal(first.settled(), false);
    await mesh.clock.advance(1);
    assert.equal((await first.error()).kind, 'unavailable');
    assert.equal(mesh.aborted(), 1);
  });

  it('breaks the calls of a crashed node and frees its address', async () => {
    const mesh = await commitMesh();
    const waiting = outcome(mesh.client.read({ connector: 'hang', task: 0 }));
    await mesh.clock.settle();
    mesh.network.crash('config');
    assert.equal((await waiting.error()).kind, 'unavailable');
    await mesh.serve('config-2');
    await mesh.client.read({ connector: 'again', task: 0 });
    assert.deepEqual(mesh.reads, ['hang', 'again']);
  });
});

async function commitMesh() {
  const clock = new VirtualClock();
  const network = new SimulatedNetwork({ clock });
  const reads: string[] = [];
  let aborts = 0;
  const handlers: Handlers<typeof CommitServiceDefinition> = {
    async read(request, { signal }): Promise<ReadResponse> {
      reads.push(request.connector);
      if (request.connector === 'hang') await sleep(clock, 60_000, signal);
      return { revision: 7n, offsets: [], sinkStates: {}, lastCommits: [] };
    },
    async *commit(requests, { signal }): AsyncIterable<CommitResponse> {
      signal.addEventListener('abort', () => aborts++);
      for await (const { connector, task, token, sequence } of requests) {
        yield { connector, task, token, sequence, result: 'COMMIT_RESULT_OK', message: '' };
      }
    },
  };
  const serve = (node: string) => new SimulatedRpc(network, node).serve('config:9083', [implement(CommitServiceDefinition, handlers)]);
  await serve('config');
  const client = new SimulatedRpc(network, 'runner').client(CommitServiceDefinition, () => ['config:9083']);
  return { clock, network, client, reads, serve, aborted: () => aborts };
}

async function* pieces(count: number): AsyncIterable<CommitRequest> {
  for (let i = 0; i < count; i++) yield piece(BigInt(i));
}

async function* never(): AsyncIterable<CommitRequest> {
  await new Promise(() => {});
}

function piece(sequence: bigint): CommitRequest {
  return {
    connector: 'a',
    task: 0,
    generation: '',
    token: 1n,
    sequence,
    offsets: [],
    sinkStates: {},
    marks: [],
    topics: [],
    release: false,
    releaseStatus: undefined,
    traceparent: '',
  };
}

function outcome<T>(promise: Promise<T>) {
  let settled = false;
  const finished = promise.then(
    () => undefined,
    (error: ConnectError) => error,
  );
  finished.then(() => {
    settled = true;
  });
  return {
    settled: () => settled,
    error: async () => {
      const error = await finished;
      assert.ok(error !== undefined, 'the call succeeded');
      return error;
    },
  };
}
