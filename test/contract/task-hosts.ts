import assert from 'node:assert/strict';
import type { CommitContent, HostEvent, HostLogLine, TaskStart } from '@rocketmq-connect/pipeline/host-protocol';
import type { DeadlineWord, HostExit, TaskHost, TaskHosts } from '@rocketmq-connect/pipeline/task-host';
import { monotonicMs, waitFor } from '../support/standalone.ts';

export interface HostsUnderTest {
  readonly hosts: TaskHosts;
  readonly deadline: DeadlineWord;
  /** Hosts whose connection to the log was given back. */
  released(): number;
  close(): Promise<void>;
}

export interface HostsSettings {
  readonly plugins: readonly string[];
  readonly baseDirectory: string;
  readonly maxHeapMb: number;
  readonly blockedAfterMs: number;
}

export const misbehavingPlugin = new URL('../support/misbehaving.ts', import.meta.url).pathname;

/** A host with what it said. */
export class OpenHost {
  readonly host: TaskHost;
  readonly events: HostEvent[] = [];
  exit: HostExit | null = null;
  #id = 0;

  constructor(hosts: TaskHosts) {
    this.host = hosts.open({
      onEvent: (event) => this.events.push(event),
      onExit: (exit) => {
        this.exit = exit;
      },
    });
  }

  async heard<T extends HostEvent['type']>(type: T, limitMs?: number): Promise<Extract<HostEvent, { type: T }>> {
    const found = () => this.events.find((event) => event.type === type) as Extract<HostEvent, { type: T }> | undefined;
    await waitFor(() => found() !== undefined || this.exit !== null, `a host says ${type}`, limitMs);
    const event = found();
    assert.ok(
      event !== undefined,
      `it said ${JSON.stringify(this.events.map((each) => each.type))} and ended: ${JSON.stringify(this.exit)}`,
    );
    return event;
  }

  async exited(limitMs?: number): Promise<HostExit> {
    await waitFor(() => this.exit !== null, 'the host is gone', limitMs);
    return this.exit as HostExit;
  }

  async catalogue() {
    const id = ++this.#id;
    this.host.send({ type: 'ask', id, question: { ask: 'catalogue' } });
    await waitFor(() => this.events.some((event) => event.type === 'answer' && event.id === id), 'the catalogue');
    const answer = this.events.find((event) => event.type === 'answer' && event.id === id);
    assert.ok(answer?.type === 'answer' && answer.result?.ask === 'catalogue');
    return answer.result;
  }

  /** Starts a task of one of the misbehaving connectors; resolves when it has started. */
  async start(unit: string, config: Readonly<Record<string, string>>, more: Partial<TaskStart> = {}): Promise<void> {
    this.startNow(unit, config, more);
    await waitFor(() => this.events.some((event) => event.type === 'started' && event.unit === unit), `${unit} starts`);
  }

  startNow(unit: string, config: Readonly<Record<string, string>>, more: Partial<TaskStart> = {}): void {
    this.host.send({ type: 'startTask', unit, start: taskStart(unit, config, more) });
  }

  async stop(unit: string): Promise<CommitContent | null> {
    this.host.send({ type: 'stop', unit });
    const stopped = () => this.events.find((event) => event.type === 'stopped' && event.unit === unit);
    await waitFor(() => stopped() !== undefined, `${unit} stops`);
    const event = stopped();
    assert.ok(event?.type === 'stopped');
    return event.content;
  }

  logs(): HostLogLine[] {
    return this.events.flatMap((event) => (event.type === 'logs' ? event.lines : []));
  }

  async kill(): Promise<void> {
    this.host.kill();
    await this.exited();
  }
}

/** What every adapter of `TaskHosts` does that runs code for real. */
export function taskHostsContract(kind: string, open: (settings: HostsSettings) => Promise<HostsUnderTest>, baseDirectory: string): void {
  describe(`task hosts (${kind})`, function () {
    this.timeout(60_000);
    let under: HostsUnderTest;
    const running: OpenHost[] = [];

    const given = async (settings: Partial<HostsSettings> = {}): Promise<void> => {
      under = await open({ plugins: [misbehavingPlugin], baseDirectory, maxHeapMb: 64, blockedAfterMs: 2000, ...settings });
      under.deadline.set(monotonicMs() + 3_600_000);
    };
    const host = (): OpenHost => {
      const opened = new OpenHost(under.hosts);
      running.push(opened);
      return opened;
    };
    afterEach(async () => {
      for (const opened of running.splice(0)) if (opened.exit === null) await opened.kill();
      await under.close();
    });

    it('load what is built in and what is configured, and answer; what is killed exits as killed and frees the log', async () => {
      await given();
      const { host: handle, exited, ...opened } = bound(host());
      const { plugins, broken } = await opened.catalogue();
      for (const name of ['FileStreamSource', 'FileStreamSink', 'MisbehavingSource'])
        assert.ok(
          plugins.some((plugin) => plugin.name === name),
          name,
        );
      assert.deepEqual(broken, []);
      handle.kill();
      assert.equal((await exited()).reason, 'killed');
      assert.equal(under.released(), 1);
    });

    it('run the whole data path of a task: what it polled is in the log, and its last content says so; every second they tell their figures', async () => {
      await given();
      const opened = host();
      await opened.start('good', { 'exactly.once': 'off' });
      await waitFor(() => counters(opened, 'good') > 3, 'records are acknowledged');
      const { loopDelayMs, heapBytes } = await opened.heard('pulse');
      assert.ok(loopDelayMs >= 0 && heapBytes > 1e6);
      const content = await opened.stop('good');
      assert.match(content?.offsets[0]?.offset ?? '', /^\{"count":\d+\}$/);
    });

    it('S052: code that calls process.exit, or throws where nobody listens, is told by name; its neighbours stop in order', async () => {
      await given();
      const opened = host();
      await opened.start('good', { 'exactly.once': 'off' });
      const strays: readonly (readonly [string, RegExp])[] = [
        ['exit', /it called process\.exit\(3\)/],
        ['stray', /thrown where nobody listens/],
        ['reject', /^nobody awaits \[hidden\]: caused by \[hidden\]$/],
      ];
      for (const [does, message] of strays) {
        opened.startNow(does, { hook: 'poll', does, password: 'hunter2' });
        const found = () => opened.events.find((event) => event.type === 'culprit' && event.unit === does);
        await waitFor(() => found() !== undefined, `${does} is told`);
        const event = found();
        assert.match(event?.type === 'culprit' ? event.error.message : '', message);
      }
      assert.doesNotMatch(JSON.stringify(opened.events), /hunter2/);
      const before = counters(opened, 'good');
      await waitFor(() => counters(opened, 'good') > before, 'the good one goes on');
      assert.notEqual(await opened.stop('good'), null);
    });

    it('S142: code that leaks memory ends its host alone, and the reason is told', async () => {
      // Collecting garbage in vain blocks a loop for long.
      await given({ blockedAfterMs: 30_000 });
      const [bad, good] = [host(), host()];
      await good.heard('ready');
      bad.startNow('bad', { hook: 'start', does: 'leak' });
      assert.deepEqual(await bad.exited(), { reason: 'outOfMemory', message: 'it needed more than 64 MB of heap' });
      await good.catalogue();
    });

    it('S052: a host whose loop is blocked ends alone, and the reason is told', async () => {
      await given();
      const [bad, good] = [host(), host()];
      await good.heard('ready');
      bad.startNow('bad', { hook: 'poll', does: 'block' });
      const { reason, message } = await bad.exited();
      assert.equal(reason, 'crashed');
      assert.match(message, /its event loop was blocked for about 2000 ms/);
      await good.catalogue();
    });

    it('S054: a host whose loop is blocked can be killed', async () => {
      await given({ blockedAfterMs: 60_000 });
      const opened = host();
      await opened.start('bad', { hook: 'poll', does: 'block' });
      opened.host.kill();
      assert.equal((await opened.exited()).reason, 'killed');
    });

    it('S052: hooks that do not end within their limits are told by name; what waits by context.sleep is none of them', async () => {
      await given();
      const opened = host();
      const hookLimits = { pollMs: 1000, putMs: 1000, flushMs: 1000, stopMs: 0 };
      await opened.start('patient', { 'interval.ms': '600000' }, { hookLimits });
      opened.startNow('bad', { hook: 'poll', does: 'hang' }, { hookLimits });
      const { unit, error } = await opened.heard('culprit');
      assert.deepEqual([unit, error.code, error.message], ['bad', 'HOOK_HUNG', 'poll did not end within 1000 ms']);
    });

    it('invariant 6: send nothing once the deadline has passed', async () => {
      await given();
      const opened = host();
      await opened.heard('ready');
      under.deadline.set(monotonicMs() + 1_000);
      opened.startNow('late', { 'exactly.once': 'off' });
      await waitFor(() => opened.exit !== null || opened.events.some(({ type }) => type === 'failed'), 'the task or the host is over');
      const before = counters(opened, 'late');
      const failed = opened.events.find(({ type }) => type === 'failed');
      if (failed?.type === 'failed') assert.equal(failed.error.code, 'SESSION_OVER');
      assert.equal(counters(opened, 'late'), before);
    });
  });
}

function counters(opened: OpenHost, unit: string): number {
  let acknowledged = 0;
  for (const event of opened.events) if (event.type === 'stats') acknowledged = event.counters[unit]?.acknowledged ?? acknowledged;
  return acknowledged;
}

/** So that it can be taken apart. */
function bound(opened: OpenHost) {
  return { host: opened.host, exited: () => opened.exited(), catalogue: () => opened.catalogue() };
}

function taskStart(unit: string, config: Readonly<Record<string, string>>, more: Partial<TaskStart>): TaskStart {
  return {
    connector: unit,
    task: 0,
    generation: '0000000000000001',
    connectorConfig: { name: unit, 'connector.class': 'MisbehavingSource', ...config },
    taskConfig: {},
    queues: [],
    paused: false,
    hookLimits: { pollMs: 0, putMs: 0, flushMs: 0, stopMs: 0 },
    startTimeMs: 0,
    offsets: [],
    positions: [],
    sinkStates: {},
    uncleanMarks: [],
    ...more,
  };
}
