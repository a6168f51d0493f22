import { decodeStored } from '@rocketmq-connect/cluster';
import type { CallContext, Handlers } from '@rocketmq-connect/mesh';
import { absent } from '@rocketmq-connect/metadata-store';
import { TargetState } from '@rocketmq-connect/proto/common';
import type { ConnectorServiceDefinition, ConnectorStatus, RestartRequest } from '@rocketmq-connect/proto/connector';
import { type StoredSpec, StoredTaskSet } from '@rocketmq-connect/proto/storage';
import { ConnectError } from '@rocketmq-connect/sdk';
import type { ConfigContext } from './context.ts';
import { isEmpty, markRestarting, type RestartPlan, restartPlan } from './restart-plan.ts';
import { changeSpec, requireSpec } from './specs.ts';
import { connectorStatus } from './status.ts';
import { knownTargetState } from './target-state.ts';

/** Target states and restarts. */
export function lifecycleHandlers(
  context: ConfigContext,
): Pick<Handlers<ConnectorServiceDefinition>, 'setTargetState' | 'restart' | 'restartTask'> {
  return {
    setTargetState: async ({ name, targetState }, call) => {
      await setTargetState(context, name, targetState, call);
      return {};
    },
    restart: async (request, call) => ({ status: await restart(context, request, call) }),
    restartTask: async ({ name, task }, call) => {
      await restartTask(context, name, task, call);
      return {};
    },
  };
}

async function setTargetState(context: ConfigContext, name: string, targetState: TargetState, call: CallContext): Promise<void> {
  knownTargetState('target_state', targetState);
  const { keys, store } = context;
  const unknown = (missing: string): ConnectError => unknownConnector(`Unknown connector ${missing}`);
  await changeSpec(context, name, call.identity, unknown, async ({ spec }) => {
    if (spec.targetState === targetState) return null;
    const change = { spec: { ...spec, targetState }, what: 'lifecycle' as const, changedKeys: [`target_state=${targetState.slice(13)}`] };
    // Without its pointer a stale claim fails, and resuming plans anew (Invariant 4).
    if (targetState === TargetState.STOPPED) return { ...change, then: [{ op: 'delete', key: keys.taskSet(name) }] };
    if (spec.targetState !== TargetState.STOPPED) return change;
    if ((await store.get(keys.alter(name))).kv !== null) throw altersOffsets(name);
    return { ...change, compare: [absent(keys.alter(name))] };
  });
}

function altersOffsets(name: string): ConnectError {
  return new ConnectError('conflict', `the offsets of ${name} are being changed`, {
    code: 'OFFSETS_CHANGING',
    remedy: 'wait until that has ended; if it was interrupted, send the change of offsets again, or reset them, and resume then',
  });
}

async function restart(context: ConfigContext, request: RestartRequest, call: CallContext): Promise<ConnectorStatus> {
  const { name } = request;
  const unknown = (missing: string): ConnectError => unknownConnector(`Unknown connector: ${missing}`);
  await requireSpec(context, name, unknown);
  const status = await connectorStatus(context, name);
  const plan = restartPlan(status, request);
  await raiseCounters(context, name, call, plan, unknown);
  return markRestarting(status, plan);
}

async function restartTask(context: ConfigContext, name: string, task: number, call: CallContext): Promise<void> {
  const unknown = (missing: string): ConnectError => unknownConnector(`Unknown connector: ${missing}`);
  const { spec } = await requireSpec(context, name, unknown);
  if (spec.targetState === TargetState.STOPPED) {
    throw new ConnectError('conflict', `Connector ${name} is STOPPED and has no tasks to restart`, {
      code: 'CONNECTOR_STOPPED',
      remedy: 'resume the connector first',
    });
  }
  const { kv } = await context.store.get(context.keys.taskSet(name));
  const tasks = kv === null ? 0 : decodeStored(StoredTaskSet, kv).tasks;
  if (!Number.isInteger(task) || task < 0 || task >= tasks) {
    throw new ConnectError('notFound', `Unknown task: ${name}-${task}`, { code: 'NOT_FOUND', field: 'task' });
  }
  await raiseCounters(context, name, call, { connector: false, tasks: [task] }, unknown);
}

/** A restart is a counter that owners compare with the one they started with: idempotent, survives crashes, needs no channel. */
async function raiseCounters(
  context: ConfigContext,
  name: string,
  call: CallContext,
  plan: RestartPlan,
  unknown: (name: string) => ConnectError,
): Promise<void> {
  if (isEmpty(plan)) return;
  await changeSpec(context, name, call.identity, unknown, async ({ spec }) => ({
    spec: raised(spec, plan),
    what: 'lifecycle',
    changedKeys: ['restart'],
  }));
}

function raised(spec: StoredSpec, plan: RestartPlan): StoredSpec {
  const taskRestarts = { ...spec.taskRestarts };
  for (const task of plan.tasks) taskRestarts[task] = (taskRestarts[task] ?? 0n) + 1n;
  return { ...spec, taskRestarts, connectorRestarts: spec.connectorRestarts + (plan.connector ? 1n : 0n) };
}

function unknownConnector(message: string): ConnectError {
  return new ConnectError('notFound', message, { code: 'NOT_FOUND', field: 'name' });
}
