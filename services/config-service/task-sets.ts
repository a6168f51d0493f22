import { decodeStored, encodeStored, generationOf } from '@rocketmq-connect/cluster';
import { createdAt, modifiedAt } from '@rocketmq-connect/metadata-store';
import type { PublishRequest, PublishResponse } from '@rocketmq-connect/proto/commit';
import { TargetState } from '@rocketmq-connect/proto/common';
import { StoredSpec, type StoredTask, StoredTaskConfigs, StoredTaskSet } from '@rocketmq-connect/proto/storage';
import { ConfigError, ConnectError } from '@rocketmq-connect/sdk';
import { hashOf } from './canonical-json.ts';
import type { ConfigContext } from './context.ts';
import { notFound } from './specs.ts';
import { type Decision, transact } from './transact.ts';

/**
 * Publishes a planned task set: its chunks first, then the pointer in one transaction, so that it is visible whole or not at all
 * (Invariant 2, S090). Equal to the published one, it changes nothing. Refused with `conflict` from a planner that does not own the
 * connector any more, or that planned from another configuration.
 */
export async function publishTaskSet(context: ConfigContext, request: PublishRequest): Promise<PublishResponse> {
  const tasks = request.tasks.map((planned, task): StoredTask => ({ task, config: planned.config, queues: planned.queues }));
  const digest = hashOf({ connectorConfig: asTasksSeeIt(request.connectorConfig), tasks });
  const chunks = divide(tasks, request.connectorConfig);
  return transact(context, () => decide(context, request, digest, chunks));
}

async function decide(
  context: ConfigContext,
  request: PublishRequest,
  digest: string,
  chunks: readonly string[],
): Promise<Decision<PublishResponse>> {
  const { keys, store } = context;
  const { connector, plannerToken, configRevision } = request;
  const { responses } = await store.txn({
    compare: [],
    then: [
      { op: 'get', key: keys.spec(connector) },
      { op: 'get', key: keys.connectorOwner(connector) },
      { op: 'get', key: keys.taskSet(connector) },
    ],
  });
  const [spec, owner, pointer] = [responses[0]?.[0], responses[1]?.[0], responses[2]?.[0]];
  if (spec === undefined) throw notFound(connector);
  const { targetState, configRevision: present } = decodeStored(StoredSpec, spec);
  if (owner?.createRevision !== plannerToken) throw refused('FENCED', `another runner plans ${connector} now, or none`);
  if (targetState === TargetState.STOPPED) throw refused('CONNECTOR_STOPPED', `${connector} is STOPPED`);
  if (present !== configRevision)
    throw refused('PLAN_OUTDATED', `${connector} was planned from ${configRevision}, it is at ${present} now`);
  if (pointer !== undefined && decodeStored(StoredTaskSet, pointer).digest === digest) {
    return { answer: { generation: generationOf(pointer.modRevision), changed: false } };
  }

  const publication = newPublication(context);
  const written: { key: string; revision: bigint }[] = [];
  for (const [index, value] of chunks.entries()) {
    const key = keys.taskConfig(connector, publication, index);
    const put = await store.txn({ compare: [modifiedAt(keys.spec(connector), spec.modRevision)], then: [{ op: 'put', key, value }] });
    if (!put.succeeded) break; // The spec was changed: so the compare below fails too, and all is decided again.
    written.push({ key, revision: put.revision });
  }
  const value = { publication, tasks: request.tasks.length, chunks: chunks.length, digest, configRevision };
  return {
    txn: {
      compare: [
        modifiedAt(keys.spec(connector), spec.modRevision),
        createdAt(keys.connectorOwner(connector), plannerToken),
        modifiedAt(keys.taskSet(connector), pointer?.modRevision ?? 0n),
        ...written.map(({ key, revision }) => createdAt(key, revision)),
      ],
      then: [{ op: 'put', key: keys.taskSet(connector), value: encodeStored(StoredTaskSet, value) }],
    },
    done: ({ revision }) => ({ generation: generationOf(revision), changed: true }),
    readBack: async () => {
      const { kv } = await store.get(keys.taskSet(connector));
      if (kv === null || decodeStored(StoredTaskSet, kv).publication !== publication) return undefined;
      return { generation: generationOf(kv.modRevision), changed: true };
    },
  };
}

/**
 * Without what others read: where tasks run is the scheduler's business, and when they restart the runner's. A change of it makes no new
 * generation, so it stops nothing that may stay.
 */
function asTasksSeeIt(config: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(config).filter(([key]) => !/^(placement|errors\.restart)(\.|$)/.test(key)));
}

const chunkBytesMax = 512 * 1024;
const chunksMax = 64;

/** The chunks as they are stored; the connector's configuration stands in the first. */
function divide(tasks: readonly StoredTask[], connectorConfig: { [key: string]: string }): string[] {
  const chunks: StoredTaskConfigs[] = [{ connectorConfig, tasks: [] }];
  let bytes = Buffer.byteLength(JSON.stringify(connectorConfig));
  for (const task of tasks) {
    const size = Buffer.byteLength(JSON.stringify(task)) + 1;
    if (size > chunkBytesMax) throw tooLarge(`task ${task.task} has ${size} bytes, more than ${chunkBytesMax}`);
    if (bytes + size > chunkBytesMax) {
      chunks.push({ connectorConfig: {}, tasks: [] });
      bytes = 0;
    }
    chunks.at(-1)?.tasks.push(task);
    bytes += size;
  }
  if (chunks.length > chunksMax)
    throw tooLarge(`the task set needs ${chunks.length} chunks of ${chunkBytesMax} bytes, more than ${chunksMax}`);
  return chunks.map((chunk) => encodeStored(StoredTaskConfigs, chunk));
}

function tooLarge(message: string): ConfigError {
  return new ConfigError(message, { code: 'TASK_SET_TOO_LARGE', field: 'tasks', remedy: 'plan fewer or smaller tasks (tasks.max)' });
}

function refused(code: string, message: string): ConnectError {
  return new ConnectError('conflict', message, { code, remedy: 'read the connector again and plan from what it is now' });
}

function newPublication(context: ConfigContext): string {
  const half = (): string =>
    Math.floor(context.random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return half() + half();
}
