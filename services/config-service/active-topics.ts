import { decodeStored, encodeStored } from '@rocketmq-connect/cluster';
import type { Handlers } from '@rocketmq-connect/mesh';
import { modifiedAt } from '@rocketmq-connect/metadata-store';
import type { ConnectorServiceDefinition } from '@rocketmq-connect/proto/connector';
import { StoredCommit } from '@rocketmq-connect/proto/storage';
import type { ConfigContext } from './context.ts';
import { transact } from './transact.ts';

/**
 * The topics that a connector has used, as the commits of its tasks tell: they go with these when offsets are altered or reset, and stay
 * with the offsets that a deleted connector leaves to one of its name. Of an unknown connector there are none, as in Kafka Connect.
 */
export function activeTopicHandlers(
  context: ConfigContext,
): Pick<Handlers<ConnectorServiceDefinition>, 'activeTopics' | 'resetActiveTopics'> {
  return {
    activeTopics: async ({ name }) => {
      const commits = await commitsOf(context, name);
      return { topics: [...new Set(commits.flatMap(({ commit }) => commit.topics))].sort() };
    },
    resetActiveTopics: async ({ name }) => {
      for (const { key } of await commitsOf(context, name)) await forgetTopics(context, key);
      return {};
    },
  };
}

async function commitsOf({ store, keys }: ConfigContext, connector: string) {
  const { kvs } = await store.range(keys.commits(connector));
  return kvs.map((kv) => ({ key: kv.key, commit: decodeStored(StoredCommit, kv) }));
}

/** A task may commit at the same time. */
async function forgetTopics(context: ConfigContext, key: string): Promise<void> {
  await transact(context, async () => {
    const { kv } = await context.store.get(key);
    const commit = kv === null ? undefined : decodeStored(StoredCommit, kv);
    if (kv === null || commit === undefined || commit.topics.length === 0) return { answer: undefined };
    const value = encodeStored(StoredCommit, { ...commit, topics: [] }, kv.value);
    return {
      txn: { compare: [modifiedAt(key, kv.modRevision)], then: [{ op: 'put', key, value }] },
      done: () => undefined,
      // Whether it landed shows when it is read again: then there is nothing to forget.
      readBack: async () => undefined,
    };
  });
}
