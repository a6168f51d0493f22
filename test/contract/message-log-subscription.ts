import assert from 'node:assert/strict';
import type { MessageLog, QueueAddress, Subscription } from '@rocketmq-connect/message-log';
import { batchOf, bodiesOf, type LogUnderTest, MIB, newTopic, newTopicName, readWhileTimePasses } from './message-log.ts';

let groups = 0;

/** What a log promises that deals messages out to the members of groups: `capabilities.subscribe`. */
export function subscriptionContract(open: () => Promise<LogUnderTest>): void {
  describe('subscriptions', () => {
    let under: LogUnderTest;
    let log: MessageLog;
    let queues: readonly QueueAddress[];
    let first: QueueAddress;
    let second: QueueAddress;
    let group: string;
    const { signal } = new AbortController();

    beforeEach(async () => {
      under = await open();
      log = under.connect();
      queues = await newTopic(under, log, 2);
      [first, second] = queues as [QueueAddress, QueueAddress];
      group = `group-${process.pid}-${++groups}`;
    });
    afterEach(() => under.close());

    const subscribe = (client: MessageLog = log): Promise<Subscription> => client.subscribe(group, [first.topic]);

    /** Reads until `count` messages came; bodies, sorted. */
    async function take(subscription: Subscription, count: number, maxBytes = MIB): Promise<string[]> {
      const bodies: string[] = [];
      while (bodies.length < count)
        for (const part of await readWhileTimePasses(under, subscription, maxBytes)) bodies.push(...bodiesOf(part));
      return bodies.sort();
    }

    const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => `m${String(i).padStart(3, '0')}`);

    it('get what is in all queues, and what is acknowledged does not come again', async () => {
      await log.send(first, batchOf(['a', 'b']));
      await log.send(second, batchOf(['c']));
      const subscription = await subscribe();
      assert.deepEqual(await take(subscription, 3), ['a', 'b', 'c']);
      assert.equal(await subscription.acknowledge(2), 0);
      assert.equal(await subscription.acknowledge(1), 0);
      await subscription.close();
      await log.send(first, batchOf(['d']));
      assert.deepEqual(await take(await subscribe(under.connect()), 1), ['d']);
    });

    it('share the messages of their group, each of which goes to one of them', async () => {
      const members = [await subscribe(), await subscribe(under.connect())];
      const bodies = numbered(200);
      for (let at = 0; at < 200; at += 20) await log.send(at % 40 === 0 ? first : second, batchOf(bodies.slice(at, at + 20)));
      const seen: string[] = [];
      for (let turn = 0; seen.length < 200; turn++) {
        const member = members[turn % 2] as Subscription;
        for (const part of await readWhileTimePasses(under, member, 500)) {
          seen.push(...bodiesOf(part));
          await member.acknowledge(part.count);
        }
      }
      assert.deepEqual(seen.sort(), bodies);
    });

    it('of other groups get everything for themselves', async () => {
      await log.send(first, batchOf(['a', 'b']));
      const subscription = await subscribe();
      assert.deepEqual(await take(subscription, 2), ['a', 'b']);
      await subscription.acknowledge(2);
      group += '-other';
      assert.deepEqual(await take(await subscribe(), 2), ['a', 'b']);
    });

    it('give back at their end what they have not acknowledged', async () => {
      await log.send(first, batchOf(['a', 'b', 'c', 'd']));
      const subscription = await subscribe();
      const order: string[] = [];
      while (order.length < 4) for (const part of await readWhileTimePasses(under, subscription)) order.push(...bodiesOf(part));
      await subscription.acknowledge(1);
      await subscription.close();
      const next = await subscribe(under.connect());
      assert.deepEqual(await take(next, 3), order.slice(1).sort());
      assert.equal(await next.acknowledge(3), 0);
    });

    it('keep what they hold for as long as they do', async function () {
      const { invisibleMs } = under;
      if (invisibleMs === undefined) this.skip();
      this.timeout(invisibleMs * 4);
      await log.send(first, batchOf(['a', 'b']));
      const subscription = await subscribe();
      await take(subscription, 2);
      const other = await subscribe(under.connect());
      for (let passed = 0; passed < invisibleMs * 2; passed += 1_000) assert.deepEqual(await readWhileTimePasses(under, other), []);
      assert.equal(await subscription.acknowledge(2), 0);
    });

    it('acknowledge no more than was read', async () => {
      const subscription = await subscribe();
      await assert.rejects(subscription.acknowledge(1), RangeError);
    });

    it('keep to the bytes asked for, and give one message at least', async () => {
      const bodies = numbered(50).map((body) => body.padEnd(100, '.'));
      await log.send(first, batchOf(bodies));
      const subscription = await subscribe();
      const seen: string[] = [];
      while (seen.length < 50) {
        const parts = await readWhileTimePasses(under, subscription, 1_000);
        assert.ok(parts.reduce((sum, { bytes }) => sum + bytes.length, 0) <= 1_000);
        for (const part of parts) seen.push(...bodiesOf(part));
      }
      assert.deepEqual(seen.sort(), bodies);
      assert.equal(await subscription.acknowledge(50), 0);
    });

    it('wait for data, and for topics that are not there yet', async function () {
      this.timeout(60_000);
      const later = newTopicName();
      const subscription = await log.subscribe(group, [first.topic, later]);
      const reading = subscription.read(MIB, 100, signal);
      await under.wait(100);
      assert.deepEqual(await reading, []);
      const [added] = await newTopic(under, log, 1, later);
      for (const [round, queue] of [second, added as QueueAddress, first].entries()) {
        const waiting = subscription.read(MIB, 600_000, signal);
        await log.send(queue, batchOf([`round ${round}`]));
        assert.deepEqual((await waiting).flatMap(bodiesOf), [`round ${round}`]);
      }
    });

    it('end a read empty when its time is over, and with the reason of its signal, and lose nothing', async () => {
      const subscription = await subscribe();
      const reading = subscription.read(MIB, 30, signal);
      await under.wait(30);
      assert.deepEqual(await reading, []);
      const controller = new AbortController();
      const waiting = subscription.read(MIB, 600_000, controller.signal);
      controller.abort(new Error('stop'));
      await assert.rejects(waiting, { message: 'stop' });
      await log.send(first, batchOf(['a']));
      await assert.rejects(subscription.read(MIB, 0, controller.signal), { message: 'stop' });
      assert.deepEqual(await take(subscription, 1), ['a']);
    });

    it('serve one read at a time, and none once they are closed', async () => {
      const subscription = await subscribe();
      const waiting = subscription.read(MIB, 600_000, signal);
      await assert.rejects(subscription.read(MIB, 0, signal), { code: 'READER_BUSY' });
      const ended = assert.rejects(waiting, { code: 'READER_CLOSED' });
      await subscription.close();
      await ended;
      await assert.rejects(subscription.read(MIB, 0, signal), { code: 'READER_CLOSED' });
    });

    it('end with their client', async () => {
      const other = under.connect();
      const subscription = await subscribe(other);
      await other.close();
      await assert.rejects(subscription.read(MIB, 0, signal), { code: 'READER_CLOSED' });
      await assert.rejects(subscribe(other), { code: 'LOG_CLOSED' });
    });
  });
}
