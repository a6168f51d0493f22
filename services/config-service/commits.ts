import { decodeStored, lastSegment } from '@rocketmq-connect/cluster';
import type { Handlers } from '@rocketmq-connect/mesh';
import { Mailbox } from '@rocketmq-connect/mesh/streams';
import type { CommitRequest, CommitResponse, CommitServiceDefinition, ReadResponse } from '@rocketmq-connect/proto/commit';
import { StoredCommit, StoredOffset, StoredSinkState } from '@rocketmq-connect/proto/storage';
import { CommitQueue } from './commit-queue.ts';
import type { ConfigContext } from './context.ts';
import { sharedReads } from './shared-reads.ts';

/** Commits of positions, and the read that a new owner starts from. */
export function commitHandlers(context: ConfigContext, stopping: AbortSignal): Handlers<CommitServiceDefinition> {
  // One queue over all streams: a task that changed its connection must not overtake itself.
  const queue = new CommitQueue(context);
  const readOf = sharedReads((connector) => read(context, connector));
  return {
    commit: (requests) => answers(queue, requests, stopping),
    read: ({ connector }) => readOf(connector),
  };
}

/**
 * Answers in the order of arrival per task; tasks do not wait for each other. When the service stops, the stream ends once what has arrived is
 * answered: its runner then commits elsewhere at once, instead of waiting for answers of a process that is gone.
 */
function answers(queue: CommitQueue, requests: AsyncIterable<CommitRequest>, stopping: AbortSignal): AsyncIterable<CommitResponse> {
  const outstanding = new Set<Promise<void>>();
  const onStop = (): void => void Promise.all(outstanding).then(() => responses.end());
  const responses = new Mailbox<CommitResponse>();
  if (stopping.aborted) onStop();
  else stopping.addEventListener('abort', onStop, { once: true });
  void (async () => {
    try {
      for await (const request of requests) {
        const answered = queue.submit(request).then((response) => responses.put(response));
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
