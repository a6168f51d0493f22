import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedLog } from '@rocketmq-connect/message-log/embedded/log';
import { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import { ThreadHosts } from '@rocketmq-connect/task-runner-service/hosts/thread-hosts';
import { monotonicMs, waitFor } from '../support/standalone.ts';
import { type HostsSettings, type HostsUnderTest, misbehavingPlugin, OpenHost, taskHostsContract } from './task-hosts.ts';

const directory = mkdtempSync(join(tmpdir(), 'rmqc-threads-'));

async function open(settings: HostsSettings): Promise<HostsUnderTest> {
  const messages = await EmbeddedLog.open(mkdtempSync(join(directory, 'messages-')));
  const deadline = new DeadlineWord();
  let released = 0;
  const connectLog = () => {
    const connection = messages.connect();
    return {
      ...connection,
      release: () => {
        released++;
        connection.release();
      },
    };
  };
  return {
    hosts: new ThreadHosts({ sampler: null, ...settings, connectLog, deadline }),
    deadline,
    released: () => released,
    close: () => messages.close(),
  };
}

taskHostsContract('threads', open, directory);

describe('thread hosts', function () {
  this.timeout(30_000);
  let under: HostsUnderTest;
  let opened: OpenHost;
  const given = async (plugins: readonly string[] = [misbehavingPlugin]): Promise<void> => {
    under = await open({ plugins, baseDirectory: directory, maxHeapMb: 64, blockedAfterMs: 1000 });
    under.deadline.set(monotonicMs() + 3_600_000);
    opened = new OpenHost(under.hosts);
  };
  afterEach(async () => {
    if (opened.exit === null) await opened.kill();
    await under.close();
  });
  after(() => rmSync(directory, { recursive: true }));

  it('S052: of several units, that is named in whose hook the loop was blocked, and the code that did it', async () => {
    await given();
    await opened.start('good', { 'exactly.once': 'off' });
    opened.startNow('bad', { hook: 'start', does: 'block' });
    const { message, unit } = await opened.exited();
    assert.equal(unit, 'bad');
    if (process.versions.node >= '24.8') assert.match(message, /by file:\/\/.*misbehaving\.ts:\d+$/);
  });

  it('S052: a loop that is blocked outside of hooks is nobody’s, as far as the thread can tell', async () => {
    await given();
    await opened.start('good', { 'exactly.once': 'off' });
    opened.startNow('bad', { hook: 'start', does: 'blockLater' });
    assert.equal((await opened.exited()).unit, undefined);
  });

  it('S144: hides secrets in what plugin code prints, and leaves records on the standard output as they are', async () => {
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
      await given();
      await opened.start('u', { hook: 'start', does: 'print', password: 'hunter2' });
      await waitFor(() => ['printed', 'written', 'record'].every((word) => printed.includes(word)), 'it is printed');
      await opened.kill();
    } finally {
      for (const undo of restore) undo();
    }
    assert.match(printed, /^printed \[hidden\]$/m);
    assert.match(printed, /^written \[hidden\]$/m);
    assert.match(printed, /^record hunter2$/m);
  });

  it('S110: a plugin whose module throws later, ends the process or never loads harms no other', async () => {
    const module = (name: string, code: string): string => {
      const path = join(directory, name);
      writeFileSync(path, code);
      return path;
    };
    const definition = `export default { kind: 'source', name: 'Stray', version: '1', config: { type: 'object', properties: {} }, task: () => ({ poll: () => null }) };`;
    await given([
      module(
        'stray.mjs',
        `setTimeout(() => { throw new Error('left behind'); }, 1); setInterval(() => { throw new Error('again'); }, 1);\n${definition}`,
      ),
      module('exits.mjs', `process.exit(1);\n${definition}`),
      misbehavingPlugin,
    ]);
    const { plugins, broken } = await opened.catalogue();
    assert.ok(plugins.some(({ name }) => name === 'MisbehavingSource'));
    assert.deepEqual(
      broken.map(({ location, error }) => [location.slice(directory.length + 1), error]),
      [['exits.mjs', 'FatalError: it called process.exit(1)']],
    );
    await waitFor(() => opened.logs().length > 0, 'it is said');
    assert.match(opened.logs()[0]?.message ?? '', /left running when it was loaded threw where nobody listens: left behind/);
    await opened.start('good', { 'exactly.once': 'off' });
    assert.equal(opened.logs().length, 1, 'it is said once');
  });
});
