import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import type { MessageLog, TopicDescription } from '@rocketmq-connect/message-log';
import { connectRemotingLog } from '@rocketmq-connect/message-log/remoting/client';
import type { Random } from '@rocketmq-connect/sdk';
import { seededRandom } from '@rocketmq-connect/sdk/testing/seeded-random';
import type { JavaClient } from './java-client.ts';
import { type CopyResult, LineCopy } from './line-copy.ts';
import { rocketmqUnderCopy } from './logs-under-copy.ts';
import { NumberedSends, patiently, type SendsResult } from './numbered-sends.ts';
import { rocketmq } from './rocketmq.ts';
import type { StandaloneProcess } from './standalone.ts';
import { Wire } from './wire.ts';

export interface Fault {
  /** The end of a sentence: "nothing is lost when …". */
  readonly when: string;
  /** What the clients know as name server. */
  readonly through: 'nameServer' | 'wire' | 'proxy';
  /** Reads are slow. */
  readonly slow?: boolean;
  /** No send may have an unknown outcome. */
  readonly certain?: boolean;
  /** However few the records. */
  readonly takesMinutes?: boolean;
  strike(run: FaultRun): Promise<void>;
  /** What else must be so in the end. */
  verify?(run: FaultRun): Promise<void>;
  /** Before the workloads begin, and after they ended. False: this machine does not allow it. */
  prepare?(): Promise<boolean>;
  restore?(): Promise<void>;
}

interface FaultRun {
  readonly random: Random;
  /** How often what can be repeated is. */
  readonly repetitions: number;
  /** In front of the broker, where clients come through a wire. */
  readonly wire: Wire;
  /** Straight to the servers. */
  readonly admin: MessageLog;
  readonly sends: NumberedSends;
  readonly standalone: StandaloneProcess;
  readonly topics: { readonly numbers: TopicDescription; readonly spread: string };
  /** Waits until this part of both workloads is done, 0 to 0.8: the last fifth waits for the end of the fault. */
  reached(part: number): Promise<void>;
}

export interface FaultResult {
  readonly sends: SendsResult;
  readonly copy: CopyResult;
}

let runs = 0;

const QUEUES = 4;
const STEPS = 200;

/**
 * Lets a fault strike while two workloads run: the adapter alone, with blind repetitions, and file → topic → file, which must be exact. Each has
 * `records` records.
 */
export async function runFault(
  fault: Fault,
  options: { seed: number; records: number; repetitions: number; java: JavaClient },
): Promise<FaultResult> {
  const { seed, records, repetitions, java } = options;
  const random = seededRandom(seed);
  // A topic that is created anew under its old name may still show what it had before.
  const name = `faults-${process.pid}-${++runs}-`;
  const wire = await new Wire(rocketmq.broker).listen();
  const nameServerWire = await new Wire(rocketmq.nameServer, [rocketmq.broker, wire.address]).listen();
  const nameServer = { nameServer: rocketmq.nameServer, wire: nameServerWire.address, proxy: rocketmq.proxy }[fault.through];
  const admin = client(rocketmq.nameServer, `${name}admin`);
  const log = client(nameServer, `${name}sends`);
  const sends = new NumberedSends(log, random, fault.slow ? 5 : 0);
  const sinks = { 'topic.discovery.interval.ms': '500', ...(fault.slow ? { 'put.max.records': '1' } : {}) };
  // The result is read straight from the broker.
  const under = { ...rocketmqUnderCopy(rocketmq.nameServer, () => java), args: ['--rocketmq-namesrv', nameServer] };
  const copy = new LineCopy({ log: under, random, name, sinks });
  try {
    // The broker may have started a moment ago.
    const numbers = await patiently(() => admin.createTopic(`${name}numbers`, { queues: QUEUES }));
    // A proxy creates none.
    for (const topic of [`${name}lines`, `${name}spread`]) await admin.createTopic(topic, { queues: QUEUES });
    const standalone = await copy.start();
    sends.begin(numbers.queues, records / QUEUES);
    let over = false;
    const growing = (async () => {
      for (let step = 1; step <= STEPS; step++) {
        while (!over && step > STEPS * 0.8) await pause(10);
        copy.grow(Math.floor((step * records) / STEPS));
        await pause(over ? 0 : 20);
      }
    })();
    const reached = async (part: number): Promise<void> => {
      const done = (): boolean => sends.progress >= part && copy.lines >= part * records;
      while (!done()) await Promise.race([pause(10), sends.failure]);
    };
    const topics = { numbers, spread: `${name}spread` };
    const run = { random, repetitions, wire, admin, sends, standalone, topics, reached };
    await fault.strike(run);
    over = true;
    await growing;
    await sends.finish();
    const copied = await copy.finish();
    await fault.verify?.(run);
    const sent = sends.verify(await under.topic(`${name}numbers`, ''));
    if (fault.certain && sent.doubts > 0) throw new Error(`${sent.doubts} sends had an unknown outcome`);
    return { sends: sent, copy: copied };
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  } finally {
    await copy.remove();
    await log.close();
    for (const topic of await admin.listTopics().catch(() => [])) if (topic.startsWith(name)) await admin.deleteTopic(topic);
    await admin.close();
    wire.close();
    nameServerWire.close();
  }
}

function client(nameServer: string, clientId: string): MessageLog {
  const connection = { kind: 'remoting', nameServers: [nameServer], clientId } as const;
  return connectRemotingLog(connection, { clock: systemClock, random: Math.random });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
