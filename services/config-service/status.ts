import { decodeStored, lastSegment } from '@rocketmq-connect/cluster';
import type { Handlers } from '@rocketmq-connect/mesh';
import type { KeyValue } from '@rocketmq-connect/metadata-store';
import { TargetState, UnitState } from '@rocketmq-connect/proto/common';
import type { ConnectorServiceDefinition, ConnectorStatus, ListTasksResponse, UnitStatus } from '@rocketmq-connect/proto/connector';
import { StoredSpec, StoredStatus, StoredTaskConfigs, StoredTaskSet } from '@rocketmq-connect/proto/storage';
import { ConnectError } from '@rocketmq-connect/sdk';
import { toConnector } from './connectors.ts';
import type { ConfigContext } from './context.ts';
import { maskSecrets } from './secrets.ts';
import { notFound } from './specs.ts';

/** What connectors and their units do now. */
export function statusHandlers(context: ConfigContext): Pick<Handlers<ConnectorServiceDefinition>, 'list' | 'getStatus' | 'listTasks'> {
  return {
    list: async ({ withStatus }) => {
      const all = await readAll(context, withStatus);
      return {
        connectors: all.map(({ spec, taskSet }) => toConnector(spec, taskSet)),
        statuses: withStatus ? Object.fromEntries(all.map((one) => [one.spec.name, toStatus(one)])) : {},
      };
    },
    getStatus: async ({ name }) => ({ status: await connectorStatus(context, name) }),
    listTasks: ({ name }) => listTasks(context, name),
  };
}

/** The status of one connector; `notFound` in Kafka Connect's words. */
export async function connectorStatus(context: ConfigContext, name: string): Promise<ConnectorStatus> {
  const { keys, store } = context;
  const { responses } = await store.txn({
    compare: [],
    then: [
      { op: 'get', key: keys.spec(name) },
      { op: 'get', key: keys.taskSet(name) },
      { op: 'get', key: keys.connectorOwner(name) },
      { op: 'range', range: keys.taskOwners(name) },
      { op: 'get', key: keys.status({ connector: name }) },
      { op: 'range', range: keys.taskStatuses(name) },
    ],
  });
  const [specs = [], taskSets = [], owner = [], owners = [], status = [], statuses = []] = responses;
  const spec = specs[0];
  if (spec === undefined) throw new ConnectError('notFound', `No status found for connector ${name}`, { code: 'NOT_FOUND', field: 'name' });
  return toStatus({
    spec: decodeStored(StoredSpec, spec),
    taskSet: taskSets[0] === undefined ? null : decodeStored(StoredTaskSet, taskSets[0]),
    tokens: new Set([...owner, ...owners].map((kv) => kv.createRevision)),
    connector: status[0],
    tasks: new Map(statuses.map((kv) => [Number(lastSegment(kv.key)), kv])),
  });
}

/** One connector with what its status is made of. */
interface Observed {
  readonly spec: StoredSpec;
  readonly taskSet: StoredTaskSet | null;
  /** `create_revision` of the owner keys; unique over all keys. */
  readonly tokens: ReadonlySet<bigint>;
  readonly connector: KeyValue | undefined;
  readonly tasks: ReadonlyMap<number, KeyValue>;
}

function toStatus({ spec, taskSet, tokens, connector, tasks }: Observed): ConnectorStatus {
  const stopped = spec.targetState === TargetState.STOPPED;
  const own = unitStatus(connector, tokens);
  return {
    name: spec.name,
    type: spec.type,
    targetState: spec.targetState,
    connector: stopped ? { ...own, state: UnitState.STOPPED, error: '' } : own,
    tasks: stopped ? [] : Array.from({ length: taskSet?.tasks ?? 0 }, (_, task) => ({ task, status: unitStatus(tasks.get(task), tokens) })),
  };
}

/** A status counts only with the token of an owner (Invariant 3); what a past owner said is not what is (S089). */
function unitStatus(kv: KeyValue | undefined, tokens: ReadonlySet<bigint>): UnitStatus {
  const unassigned = { state: UnitState.UNASSIGNED, runner: '', error: '', sinceMs: 0n, version: '' };
  if (kv === undefined) return unassigned;
  const { state, runner, error, sinceMs, version, token } = decodeStored(StoredStatus, kv);
  if (tokens.has(token)) return { state, runner, error, sinceMs, version };
  // A runner that gave a unit back may have said why it cannot run it.
  return state === UnitState.UNASSIGNED ? { ...unassigned, error, sinceMs } : unassigned;
}

async function readAll(context: ConfigContext, withStatus: boolean): Promise<Observed[]> {
  const { keys, store } = context;
  const { responses } = await store.txn({
    compare: [],
    then: [
      { op: 'range', range: keys.specs },
      { op: 'range', range: keys.taskSets },
      ...(withStatus
        ? [
            { op: 'range' as const, range: keys.owners },
            { op: 'range' as const, range: keys.statuses },
          ]
        : []),
    ],
  });
  const [specs = [], taskSets = [], owners = [], statuses = []] = responses;
  const tokens = new Set(owners.map((kv) => kv.createRevision));
  const taskSetOf = new Map(taskSets.map((kv) => [kv.key, kv]));
  const statusOf = new Map(statuses.map((kv) => [kv.key, kv]));
  return specs.map((kv) => {
    const spec = decodeStored(StoredSpec, kv);
    const pointer = taskSetOf.get(keys.taskSet(spec.name));
    const taskSet = pointer === undefined ? null : decodeStored(StoredTaskSet, pointer);
    const tasks = new Map<number, KeyValue>();
    for (let task = 0; task < (taskSet?.tasks ?? 0); task++) {
      const status = statusOf.get(keys.status({ connector: spec.name, task }));
      if (status !== undefined) tasks.set(task, status);
    }
    return { spec, taskSet, tokens, connector: statusOf.get(keys.status({ connector: spec.name })), tasks };
  });
}

/** The published task configs, each over its connector's configuration as it was planned from. */
async function listTasks(context: ConfigContext, name: string): Promise<ListTasksResponse> {
  const { keys, store } = context;
  const { responses } = await store.txn({
    compare: [],
    then: [
      { op: 'get', key: keys.spec(name) },
      { op: 'get', key: keys.taskSet(name) },
      { op: 'range', range: keys.taskConfigs(name) },
    ],
  });
  const [specs = [], taskSets = [], chunks = []] = responses;
  if (specs[0] === undefined) throw notFound(name);
  if (taskSets[0] === undefined) return { tasks: [] };
  const { secretKeys } = decodeStored(StoredSpec, specs[0]);
  const { publication } = decodeStored(StoredTaskSet, taskSets[0]);
  const published = chunks.filter(({ key }) => key.split('/').at(-2) === publication).map((kv) => decodeStored(StoredTaskConfigs, kv));
  const connectorConfig = published[0]?.connectorConfig ?? {};
  return {
    tasks: published
      .flatMap((chunk) => chunk.tasks)
      .map(({ task, config }) => ({
        id: { connector: name, task },
        config: maskSecrets({ ...connectorConfig, ...config }, secretKeys),
      })),
  };
}
