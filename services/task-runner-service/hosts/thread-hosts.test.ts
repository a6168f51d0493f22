import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedLog } from '@rocketmq-connect/message-log/embedded/log';
import type { HostEvent, TaskStart } from '@rocketmq-connect/pipeline/host-protocol';
import { DeadlineWord, type HostExit, type TaskHost } from '@rocketmq-connect/pipeline/task-host';
import { waitFor } from '../../../test/support/standalone.ts';
import { ThreadHosts } from './thread-hosts.ts';

describe('thread hosts', () => {
  let directory: string;
  let messages: EmbeddedLog;
  let released: number;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'rmqc-hosts-'));
    messages = await EmbeddedLog.open(join(directory, 'messages'));
  });
  after(async () => {
    await messages.close();
    rmSync(directory, { recursive: true });
  });
  beforeEach(() => {
    released = 0;
  });

  interface Opened {
    readonly host: TaskHost;
    readonly events: HostEvent[];
    readonly exited: Promise<HostExit>;
    heard<T extends HostEvent['type']>(type: T): Promise<Extract<HostEvent, { type: T }>>;
  }

  function openHost(): Opened {
    const deadline = new DeadlineWord();
    deadline.set(Number(process.hrtime.bigint()) / 1e6 + 3_600_000);
    const hosts = new ThreadHosts({
      connectLog: () => {
        const connection = messages.connect();
        return {
          ...connection,
          release: () => {
            released++;
            connection.release();
          },
        };
      },
      deadline,
      plugins: [new URL('./fixtures/misbehaving.ts', import.meta.url).pathname],
      baseDirectory: directory,
      maxHeapMb: 64,
      blockedAfterMs: 1500,
    });
    const events: HostEvent[] = [];
    const waiting = new Set<() => void>();
    let exit: (exit: HostExit) => void = () => undefined;
    const exited = new Promise<HostExit>((resolve) => {
      exit = resolve;
    });
    const host = hosts.open({
      onEvent: (event) => {
        events.push(event);
        for (const look of waiting) look();
      },
      onExit: (how) => exit(how),
    });
    const heard = <T extends HostEvent['type']>(type: T) =>
      new Promise<Extract<HostEvent, { type: T }>>((resolve) => {
        const look = (): void => {
          const found = events.find((event) => event.type === type);
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found as Extract<HostEvent, { type: T }>);
        };
        waiting.add(look);
        look();
      });
    return { host, events, exited, heard };
  }

  const misbehave = (does: string): TaskStart => ({
    connector: 'c',
    task: 0,
    generation: '0000000000000001',
    connectorConfig: { name: 'c', 'connector.class': 'Misbehaving', does, password: 'hunter2' },
    taskConfig: {},
    queues: [],
    paused: false,
    startTimeMs: 0,
    offsets: [],
    positions: [],
    sinkStates: {},
    uncleanMarks: [],
  });

  it('loads what is built in and what is configured, and answers; what is killed exits as killed and frees the log', async () => {
    const { host, heard, exited } = openHost();
    host.send({ type: 'ask', id: 1, question: { ask: 'catalogue' } });
    const { result } = await heard('answer');
    assert.ok(result?.ask === 'catalogue');
    const names = result.plugins.map(({ name }) => name);
    for (const name of ['FileStreamSource', 'FileStreamSink', 'Misbehaving']) assert.ok(names.includes(name), name);
    assert.deepEqual(result.broken, []);
    host.kill();
    assert.equal((await exited).reason, 'killed');
    assert.equal(released, 1);
  });

  const ends: readonly (readonly [string, HostExit['reason'], RegExp])[] = [
    ['exit', 'crashed', /process\.exit\(3\)/],
    ['throw', 'crashed', /thrown where nobody listens/],
    ['reject', 'crashed', /^nobody awaits \[hidden\]$/],
    ['leak', 'outOfMemory', /more than 64 MB of heap/],
    ['block', 'crashed', /event loop was blocked/],
  ];
  for (const [does, reason, message] of ends) {
    it(`S142, S052: code that does "${does}" ends its host alone, and the reason is told`, async () => {
      const bad = openHost();
      const good = openHost();
      await Promise.all([bad.heard('ready'), good.heard('ready')]);
      bad.host.send({ type: 'startTask', unit: 'u', start: misbehave(does) });
      const exit = await bad.exited;
      assert.equal(exit.reason, reason);
      assert.match(exit.message, message);
      good.host.send({ type: 'ask', id: 7, question: { ask: 'catalogue' } });
      assert.equal((await good.heard('answer')).id, 7);
      good.host.kill();
      await good.exited;
    });
  }

  it('S054: a host whose loop is blocked can be killed', async () => {
    const { host, heard, exited } = openHost();
    await heard('ready');
    host.send({ type: 'startTask', unit: 'u', start: misbehave('block') });
    await heard('started');
    host.kill();
    assert.equal((await exited).reason, 'killed');
  });

  it('hides secrets in what plugin code prints, and leaves records on the standard output as they are', async () => {
    let printed = '';
    const restore = [process.stdout, process.stderr].map((stream) => {
      const { write } = stream;
      stream.write = (chunk: Uint8Array | string): boolean => {
        printed += Buffer.from(chunk as string).toString();
        return true;
      };
      return () => {
        stream.write = write;
      };
    });
    try {
      const { host, heard, exited } = openHost();
      await heard('ready');
      host.send({ type: 'startTask', unit: 'u', start: misbehave('print') });
      await heard('started');
      await waitFor(() => ['printed', 'written', 'record'].every((word) => printed.includes(word)), 'it is printed');
      host.kill();
      await exited;
    } finally {
      for (const undo of restore) undo();
    }
    assert.match(printed, /^printed \[hidden\]$/m);
    assert.match(printed, /^written \[hidden\]$/m);
    assert.match(printed, /^record hunter2$/m);
  });
});
