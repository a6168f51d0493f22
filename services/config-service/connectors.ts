import { decodeStored, encodeStored, generationOf } from '@rocketmq-connect/cluster';
import type { CallContext, Handlers } from '@rocketmq-connect/mesh';
import { absent, type KeyValue, modifiedAt, rangeEmpty } from '@rocketmq-connect/metadata-store';
import { TargetState } from '@rocketmq-connect/proto/common';
import type { Connector, ConnectorServiceDefinition, CreateRequest, PatchRequest, UpdateRequest } from '@rocketmq-connect/proto/connector';
import { StoredDeleted, StoredHistory, StoredOffset, StoredSpec, StoredTaskSet } from '@rocketmq-connect/proto/storage';
import { ConfigError, ConnectError } from '@rocketmq-connect/sdk';
import { canonicalJson } from './canonical-json.ts';
import { type Config, ownConfig } from './config-input.ts';
import type { ConfigContext } from './context.ts';
import { newConnectorName } from './names.ts';
import { maskSecrets, unmaskSecrets } from './secrets.ts';
import { type CurrentSpec, changeSpec, historyValue, notFound, requireSpec } from './specs.ts';
import type { Sweeper } from './sweeper.ts';
import { knownTargetState } from './target-state.ts';
import { transact } from './transact.ts';
import { type ValidatedConfig, validateConfig } from './validation.ts';

type Covered = 'create' | 'get' | 'update' | 'patch' | 'delete' | 'history';

/** Create, read, change and delete connectors. `list` lives in status.ts, since it may carry statuses. */
export function connectorHandlers(context: ConfigContext, sweeper: Sweeper): Pick<Handlers<ConnectorServiceDefinition>, Covered> {
  return {
    create: async (request, call) => ({ connector: await create(context, sweeper, request, call) }),
    get: async ({ name }) => ({ connector: await getConnector(context, name) }),
    update: (request, call) => update(context, sweeper, request, call),
    patch: async (request, call) => ({ connector: await patch(context, request, call) }),
    delete: async ({ name, resetOffsets }) => {
      await remove(context, name, !resetOffsets);
      sweeper.hurry(name);
      return {};
    },
    history: async ({ name }) => {
      const { history } = await requireSpec(context, name);
      return { entries: history.map(toHistoryEntry).reverse() };
    },
  };
}

/** A spec as users see it: secrets masked. */
export function toConnector(spec: StoredSpec, taskSet: StoredTaskSet | null): Connector {
  return {
    name: spec.name,
    config: maskSecrets(spec.config, spec.secretKeys),
    type: spec.type,
    targetState: spec.targetState,
    configRevision: spec.configRevision,
    tasks: Array.from({ length: taskSet?.tasks ?? 0 }, (_, task) => task),
    warnings: spec.warnings,
  };
}

async function getConnector(context: ConfigContext, name: string): Promise<Connector> {
  const { responses } = await context.store.txn({
    compare: [],
    then: [
      { op: 'get', key: context.keys.spec(name) },
      { op: 'get', key: context.keys.taskSet(name) },
    ],
  });
  const [spec, taskSet] = responses;
  if (spec?.[0] === undefined) throw notFound(name);
  return toConnector(decodeStored(StoredSpec, spec[0]), taskSet?.[0] === undefined ? null : decodeStored(StoredTaskSet, taskSet[0]));
}

async function create(context: ConfigContext, sweeper: Sweeper, request: CreateRequest, call: CallContext): Promise<Connector> {
  const name = newConnectorName(request.name);
  const config = ownConfig(name, request.config);
  const { keys, store } = context;
  const { initialState } = request;
  const targetState = initialState === TargetState.UNSPECIFIED ? TargetState.RUNNING : knownTargetState('initial_state', initialState);
  if ((await store.get(keys.spec(name))).kv !== null) throw alreadyExists(name);
  const validated = await validateConfig(context, config, []);
  const startTimeMs = BigInt(Math.floor(context.clock.now()));
  const spec = await transact(context, async () => {
    const present = await store.get(keys.spec(name));
    if (present.kv !== null) throw alreadyExists(name);
    await sweeper.untilSwept(name, call.signal);
    await refuseForeignOffsets(context, name, validated.plugin);
    const spec: StoredSpec = {
      ...StoredSpec.create(),
      name,
      config,
      configRevision: present.revision + 1n,
      targetState,
      startTimeMs,
      ...validated,
    };
    const value = encodeStored(StoredSpec, spec);
    const history = historyValue(context, call.identity, 'created', changedKeys({}, config), spec.configRevision);
    return {
      txn: {
        compare: [
          absent(keys.spec(name)),
          absent(keys.deleted(name)),
          absent(keys.connectorOwner(name)),
          rangeEmpty(keys.taskOwners(name)),
        ],
        then: [
          { op: 'put', key: keys.spec(name), value },
          { op: 'put', key: keys.history(name, generationOf(0n)), value: history },
        ],
      },
      done: () => spec,
      readBack: async () => ((await store.get(keys.spec(name))).kv?.value === value ? spec : undefined),
    };
  });
  logWarnings(context, name, spec.warnings);
  return toConnector(spec, null);
}

/** Kafka Connect's answers have no place for warnings: whoever uses those sees them here. */
function logWarnings(context: ConfigContext, connector: string, warnings: readonly string[]): void {
  for (const warning of warnings) context.log.warn(`the configuration is accepted, but ${warning}`, { connector });
}

function alreadyExists(name: string): ConnectError {
  return new ConnectError('conflict', `Connector ${name} already exists`, { code: 'ALREADY_EXISTS', field: 'name' });
}

/** Offsets kept from a deleted connector mean something to a plugin of the same class only. */
async function refuseForeignOffsets(context: ConfigContext, name: string, plugin: string): Promise<void> {
  const { kvs } = await context.store.range(context.keys.offsets(name));
  const foreign = kvs.map((kv) => decodeStored(StoredOffset, kv).plugin).find((kept) => kept !== '' && kept !== plugin);
  if (foreign === undefined) return;
  throw new ConfigError(`offsets were kept from a connector ${name} of class ${foreign}; ${plugin} cannot go on from them`, {
    code: 'FOREIGN_OFFSETS',
    field: 'connector.class',
    remedy: `choose another name, or create it STOPPED with class ${foreign} first and reset its offsets`,
  });
}

async function update(
  context: ConfigContext,
  sweeper: Sweeper,
  request: UpdateRequest,
  call: CallContext,
): Promise<{ connector: Connector; created: boolean }> {
  const { kv } = await context.store.get(context.keys.spec(request.name));
  if (kv === null && request.expectedConfigRevision !== 0n) throw notFound(request.name);
  if (kv === null) {
    const creation: CreateRequest = { name: request.name, config: request.config, initialState: TargetState.UNSPECIFIED };
    return { connector: await create(context, sweeper, creation, call), created: true };
  }
  const connector = await changeConfig(context, request.name, request.expectedConfigRevision, call, () => request.config);
  return { connector, created: false };
}

async function patch(context: ConfigContext, request: PatchRequest, call: CallContext): Promise<Connector> {
  return changeConfig(context, request.name, request.expectedConfigRevision, call, (stored) => {
    const config: { [key: string]: string } = { ...stored, ...request.set };
    for (const key of request.remove) if (key !== 'name') delete config[key];
    return config;
  });
}

async function changeConfig(
  context: ConfigContext,
  name: string,
  expectedRevision: bigint,
  call: CallContext,
  next: (stored: Config) => Config,
): Promise<Connector> {
  const validations = new Map<string, ValidatedConfig>();
  await changeSpec(context, name, call.identity, notFound, async ({ spec, revision }: CurrentSpec) => {
    if (expectedRevision !== 0n && expectedRevision !== spec.configRevision) throw revisionMismatch(name, expectedRevision, spec);
    const unmasked = unmaskSecrets(next(spec.config), spec.config, spec.secretKeys);
    const config = ownConfig(name, unmasked.config);
    const text = canonicalJson(config);
    if (text === canonicalJson(spec.config)) return null;
    // A lost race must not ask the plugin again for the same configuration.
    const validated = validations.get(text) ?? (await validateConfig(context, config, unmasked.kept));
    validations.set(text, validated);
    return {
      spec: { ...spec, ...validated, config: { ...config }, configRevision: revision + 1n },
      what: 'config',
      changedKeys: changedKeys(spec.config, config),
    };
  });
  const connector = await getConnector(context, name);
  if (validations.size > 0) logWarnings(context, name, connector.warnings);
  return connector;
}

function revisionMismatch(name: string, expected: bigint, spec: StoredSpec): ConnectError {
  return new ConnectError('conflict', `the configuration of ${name} is at revision ${spec.configRevision}, not at ${expected}`, {
    code: 'REVISION_MISMATCH',
    field: 'expected_config_revision',
    remedy: 'read the connector again, apply the change to what it is now, and send that with its revision',
  });
}

async function remove(context: ConfigContext, name: string, keepOffsets: boolean): Promise<void> {
  const { keys, store } = context;
  await transact(context, async () => {
    const { kv, spec } = await requireSpec(context, name);
    const value = encodeStored(StoredDeleted, { keepOffsets, plugin: spec.plugin });
    return {
      txn: {
        compare: [modifiedAt(keys.spec(name), kv.modRevision)],
        then: [
          { op: 'delete', key: keys.spec(name) },
          { op: 'delete', key: keys.taskSet(name) },
          { op: 'put', key: keys.deleted(name), value },
        ],
      },
      done: () => true,
      readBack: async () => ((await store.get(keys.spec(name))).kv === null ? true : undefined),
    };
  });
}

const changedKeysMax = 100;

/** Names only: values may be secret. */
function changedKeys(before: Config, after: Config): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys]
    .filter((key) => before[key] !== after[key])
    .sort()
    .slice(0, changedKeysMax);
}

function toHistoryEntry(kv: KeyValue) {
  const { atMs, who, what, changedKeys } = decodeStored(StoredHistory, kv);
  return { revision: kv.modRevision, atMs, who, what, changedKeys };
}
