import { decodeStored, lastSegment } from '@rocketmq-connect/cluster';
import type { Handlers } from '@rocketmq-connect/mesh';
import { Mailbox } from '@rocketmq-connect/mesh/streams';
import { callAttributes } from '@rocketmq-connect/mesh/tracing';
import {
  type CommitRequest,
  type CommitResponse,
  CommitResult,
  CommitServiceDefinition,
  type ReadResponse,
} from '@rocketmq-connect/proto/commit';
import { StoredCommit, StoredOffset, StoredSinkState } from '@rocketmq-connect/proto/storage';
import type { AttributeValue, TraceContext, Tracer } from '@rocketmq-connect/tracing';
import { parseTraceparent } from '@rocketmq-connect/tracing/trace-context';
import { CommitQueue } from './commit-queue.ts';
import type { ConfigContext } from './context.ts';
import { sharedReads } from './shared-reads.ts';

/** Commits of positions, and the read that a new owner starts from. */
export function commitHandlers(context: ConfigContext, stopping: AbortSignal): Handlers<CommitServiceDefinition> {
  // One queue over all streams: a task that changed its connection must not overtake itself.
  const queue = new CommitQueue(context);
  const readOf = sharedReads((connector) => read(context, connector));
  return {
    commit: (requests) => answers((piece) => submit(queue, piece, context.tracer), requests, stopping),
    read: ({ connector }) => readOf(connector),
  };
}

/**
 * Answers in the order of arrival per task; tasks do not wait for each other. When the service stops, the stream ends once what has arrived is
 * answered: its runner then commits elsewhere at once, instead of waiting for answers of a process that is gone.
 */
function answers(
  commit: (piece: CommitRequest) => Promise<CommitResponse>,
  requests: AsyncIterable<CommitRequest>,
  stopping: AbortSignal,
): AsyncIterable<CommitResponse> {
  const outstanding = new Set<Promise<void>>();
  const onStop = (): void => void Promise.all(outstanding).then(() => responses.end());
  const responses = new Mailbox<CommitResponse>();
  if (stopping.aborted) onStop();
  else stopping.addEventListener('abort', onStop, { once: true });
  void (async () => {
    try {
      for await (const request of requests) {
        const answered = commit(request).then((response) => responses.put(response));
        outstanding.add(answered);
        void answered.finally(() => outstanding.delete(answered));
      }
      await Promise.all(outstanding);
      responses.end();
    } catch (error) {
      responses.fail(error);
    } finally {
      stopping.removeEventListener('abort', onStop);
    }
  })();
  return responses;
}

/** A stream has no span, but a piece has, below the commit of its task where that is traced. */
function submit(queue: CommitQueue, piece: CommitRequest, tracer: Tracer): Promise<CommitResponse> {
  const parent = piece.traceparent === '' ? undefined : parseTraceparent(piece.traceparent);
  if (parent === undefined) return queue.submit(piece);
  const answer = Promise.withResolvers<CommitResponse>();
  let own: TraceContext | undefined;
  const traced = tracer.span(COMMIT, { kind: 'server', parent, attributes: attributesOf(piece) }, async (span) => {
    own = tracer.active();
    const response = await answer.promise;
    if (response.result !== CommitResult.OK) span.fail(`${response.result}: ${response.message}`);
    return response;
  });
  queue.submit(piece, own).then(answer.resolve, answer.reject);
  return traced;
}

const { fullName, methods } = CommitServiceDefinition;
const COMMIT = `${fullName}/${methods.commit.name}`;

function attributesOf({ connector, task, sequence, offsets, release }: CommitRequest): Readonly<Record<string, AttributeValue>> {
  const about = { 'rmqc.connector': connector, 'rmqc.task': task, 'rmqc.sequence': Number(sequence), 'rmqc.offsets': offsets.length };
  return { ...callAttributes(CommitServiceDefinition, methods.commit), ...about, 'rmqc.release': release };
}

/** Linearizable, of one revision: a lagging read would hand a new owner old offsets (Invariant 4). */
async function read(context: ConfigContext, connector: string): Promise<ReadResponse> {
  const { keys, store } = context;
  const { responses, revision } = await store.txn({
    compare: [],
    then: [
      { op: 'range', range: keys.offsets(connector) },
      { op: 'range', range: keys.sinkStates(connector) },
      { op: 'range', range: keys.commits(connector) },
    ],
  });
  const [offsets = [], states = [], commits = []] = responses;
  const sinkStates = states.map((kv) => decodeStored(StoredSinkState, kv));
  return {
    revision,
    offsets: offsets.map((kv) => decodeStored(StoredOffset, kv)),
    sinkStates: Object.fromEntries(sinkStates.map(({ name, stateJson }) => [name, stateJson])),
    lastCommits: commits.map((kv) => ({ task: Number(lastSegment(kv.key)), commit: decodeStored(StoredCommit, kv) })),
  };
}
