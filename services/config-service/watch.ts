import { decodeStored, lastSegment, PrefixCache } from '@rocketmq-connect/cluster';
import { Mailbox } from '@rocketmq-connect/mesh/streams';
import type { KeyRange } from '@rocketmq-connect/metadata-store';
import type { WatchResponse } from '@rocketmq-connect/proto/connector';
import { StoredSpec, StoredTaskSet } from '@rocketmq-connect/proto/storage';
import { toPlainError } from '@rocketmq-connect/sdk';
import { toConnector } from './connectors.ts';
import type { ConfigContext } from './context.ts';

/** The present connectors, `synced`, then each change. Ends with the signal. */
export async function* watchConnectors(context: ConfigContext, signal: AbortSignal): AsyncIterable<WatchResponse> {
  const { store, keys, clock, log } = context;
  const changes = new Mailbox<WatchResponse>();
  const follow = (range: KeyRange): PrefixCache =>
    new PrefixCache({
      store,
      range,
      clock,
      onSetBack: (error) => changes.fail(error),
      onTrouble: (error) => log.debug('a watch of connectors was interrupted and goes on', { error: toPlainError(error).message }),
    });
  const specs = follow(keys.specs);
  const taskSets = follow(keys.taskSets);
  const connectorAt = (name: string): WatchResponse => {
    const spec = specs.entries().get(keys.spec(name));
    const pointer = taskSets.entries().get(keys.taskSet(name));
    if (spec === undefined) return { connector: undefined, deleted: name, synced: false };
    const taskSet = pointer === undefined ? null : decodeStored(StoredTaskSet, pointer);
    return { connector: toConnector(decodeStored(StoredSpec, spec), taskSet), deleted: '', synced: false };
  };
  const onAbort = (): void => changes.end();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    specs.start();
    taskSets.start();
    await Promise.race([Promise.all([specs.synced, taskSets.synced]), new Promise((resolve) => signal.addEventListener('abort', resolve))]);
    // From here on without a pause, so that no change falls between the listing and the listeners.
    for (const key of [...specs.entries().keys()].sort()) changes.put(connectorAt(lastSegment(key)));
    changes.put({ connector: undefined, deleted: '', synced: true });
    specs.onChange((changed) => {
      for (const key of changed) changes.put(connectorAt(lastSegment(key)));
    });
    taskSets.onChange((changed) => {
      // A pointer that goes together with its spec says nothing of its own.
      for (const key of changed) if (specs.entries().has(keys.spec(lastSegment(key)))) changes.put(connectorAt(lastSegment(key)));
    });
    yield* changes;
  } finally {
    signal.removeEventListener('abort', onAbort);
    specs.stop();
    taskSets.stop();
  }
}
