import { clusterKeys } from '@rocketmq-connect/cluster';
import { createConfigService } from '@rocketmq-connect/config-service';
import { implement } from '@rocketmq-connect/mesh';
import { SimulatedNetwork, SimulatedRpc } from '@rocketmq-connect/mesh/simulated';
import { type MetadataStore, prefixRange } from '@rocketmq-connect/metadata-store';
import { SimulatedStore } from '@rocketmq-connect/metadata-store/simulated';
import { tracedStore } from '@rocketmq-connect/metadata-store/traced';
import {
  type CommitRequest,
  type CommitResponse,
  CommitServiceDefinition,
  type PlannedTask,
  TaskSetServiceDefinition,
} from '@rocketmq-connect/proto/commit';
import { ConnectorType, TargetState, type UnitState } from '@rocketmq-connect/proto/common';
import { type Connector, ConnectorServiceDefinition } from '@rocketmq-connect/proto/connector';
import { ClusterLoggerServiceDefinition } from '@rocketmq-connect/proto/logger';
import { OffsetServiceDefinition } from '@rocketmq-connect/proto/offset';
import { type AlterOffsetsRequest, PluginHostServiceDefinition, PluginKind, PluginServiceDefinition } from '@rocketmq-connect/proto/plugin';
import { StoredOffset, StoredOwner, StoredRunner, StoredSpec, StoredStatus, StoredTaskSet } from '@rocketmq-connect/proto/storage';
import { ConfigError, type ConnectError } from '@rocketmq-connect/sdk';
import { noTracer, type SpanData } from '@rocketmq-connect/tracing';
import { ProcessTracer } from '@rocketmq-connect/tracing/process-tracer';
import { quietLogger, recordingLogger } from './quiet-logger.ts';
import { VirtualClock } from './virtual-clock.ts';

/** config-service on a simulated store, network and clock, with a plugin host that knows two plugins. */
export async function configMesh(
  options: { allowLiteralSecrets?: boolean; runner?: boolean; logged?: string[]; traced?: SpanData[] } = {},
) {
  const clock = new VirtualClock();
  const store = new SimulatedStore(clock);
  const network = new SimulatedNetwork({ clock });
  const keys = clusterKeys('test');
  const plugin = new FakePluginHost();
  let seed = 7;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const host = await new SimulatedRpc(network, 'runner').serve('runner:1', [plugin.implementation]);
  const log = options.logged === undefined ? quietLogger : recordingLogger(options.logged);
  const { traced } = options;
  const sampler = { root: 'always', ratio: 1, parentBased: true } as const;
  const tracer = traced === undefined ? noTracer : new ProcessTracer({ sampler, clock, random, onEnd: (span) => traced.push(span) });
  const service = createConfigService({
    store: tracedStore(store.client('config'), tracer, 'etcd'),
    tracer,
    keys,
    clock,
    random,
    log,
    rpc: new SimulatedRpc(network, 'config'),
    runnerEndpoints: () => (options.runner === false ? [] : [host.address]),
    allowLiteralSecrets: options.allowLiteralSecrets ?? false,
  });
  const server = await new SimulatedRpc(network, 'config').serve('config:1', service.implementations);
  const rpc = new SimulatedRpc(network, 'caller');
  const endpoints = (): string[] => [server.address];
  const hand: MetadataStore = store.client('hand');
  const put = (key: string, value: string): Promise<bigint> =>
    hand.txn({ compare: [], then: [{ op: 'put', key, value }] }).then((result) => result.revision);
  const runnerValue = { ...StoredRunner.create(), id: 'r1', session: 's1', plugins: [...FakePluginHost.plugins] };
  await put(keys.runner('r1'), JSON.stringify(StoredRunner.toJSON(runnerValue)));
  const owner = JSON.stringify(StoredOwner.toJSON({ runner: 'r1', session: 's1' }));

  const mesh = {
    clock,
    store,
    network,
    keys,
    plugin,
    service,
    /** A store client that meets no faults. */
    hand,
    put,
    /** The store client of config-service, to inject faults. */
    client: store.client('config'),
    connectors: rpc.client(ConnectorServiceDefinition, endpoints),
    offsets: rpc.client(OffsetServiceDefinition, endpoints),
    plugins: rpc.client(PluginServiceDefinition, endpoints),
    taskSets: rpc.client(TaskSetServiceDefinition, endpoints),
    commits: rpc.client(CommitServiceDefinition, endpoints),
    clusterLoggers: rpc.client(ClusterLoggerServiceDefinition, endpoints),
    /** Resolves a call, moving virtual time on as it needs. */
    run: <T>(promise: Promise<T>, limitMs?: number): Promise<T> => clock.resolve(promise, limitMs),
    /** The error of a call that must fail. */
    failure: async (promise: Promise<unknown>): Promise<ConnectError> => {
      const outcome = promise.then(
        () => null,
        (error: unknown) => error as ConnectError,
      );
      const error = await clock.resolve(outcome);
      if (error === null) throw new Error('the call should have failed');
      return error;
    },
    create: async (name: string, config: Record<string, string> = fileConfig, initialState: TargetState = TargetState.UNSPECIFIED) => {
      const { connector } = await clock.resolve(mesh.connectors.create({ name, config, initialState }));
      return connector as Connector;
    },
    stop: (name: string) => clock.resolve(mesh.connectors.setTargetState({ name, targetState: TargetState.STOPPED })),
    resume: (name: string) => clock.resolve(mesh.connectors.setTargetState({ name, targetState: TargetState.RUNNING })),
    /** Owns the connector instance; the token. */
    own: (name: string): Promise<bigint> => put(keys.connectorOwner(name), owner),
    ownTask: (name: string, generation: string, task: number): Promise<bigint> => put(keys.taskOwner(name, generation, task), owner),
    disown: async (): Promise<void> => {
      await hand.txn({ compare: [], then: [{ op: 'deleteRange', range: keys.owners }] });
    },
    publish: (name: string, token: bigint, tasks: readonly PlannedTask[], configRevision?: bigint) => {
      const spec = mesh.spec(name);
      return mesh.taskSets.publish({
        connector: name,
        plannerToken: token,
        configRevision: configRevision ?? spec?.configRevision ?? 0n,
        connectorConfig: spec?.config ?? {},
        tasks: [...tasks],
      });
    },
    /** Created, owned and published with this many tasks, each owned; the tokens. */
    running: async (name: string, tasks = 1, config: Record<string, string> = fileConfig) => {
      await mesh.create(name, config);
      const token = await mesh.own(name);
      const planned = Array.from({ length: tasks }, (_, i) => ({ config: { part: String(i) }, queues: [] }));
      const { generation } = await clock.resolve(mesh.publish(name, token, planned));
      const tokens: bigint[] = [];
      for (let task = 0; task < tasks; task++) tokens.push(await mesh.ownTask(name, generation, task));
      return { token, generation, tokens };
    },
    /** Writes a status as the owner with this token would. */
    report: (name: string, task: number | undefined, token: bigint, state: UnitState, error = '') =>
      put(
        keys.status(task === undefined ? { connector: name } : { connector: name, task }),
        JSON.stringify(StoredStatus.toJSON({ ...StoredStatus.create(), state, token, runner: 'r1', error })),
      ),
    commit: (...requests: Partial<CommitRequest>[]): Promise<CommitResponse[]> => clock.resolve(mesh.queued(...requests)),
    /** The same, without moving time on. */
    queued: async (...requests: Partial<CommitRequest>[]): Promise<CommitResponse[]> => {
      const answers: CommitResponse[] = [];
      for await (const answer of mesh.commits.commit(streamOf(requests.map(commitRequest)))) answers.push(answer);
      return answers;
    },
    /** What the store has, decoded. */
    spec: (name: string): StoredSpec | null => decodeAt(store, StoredSpec, keys.spec(name)),
    taskSet: (name: string): StoredTaskSet | null => decodeAt(store, StoredTaskSet, keys.taskSet(name)),
    storedOffsets: (name: string): StoredOffset[] =>
      store.peek(keys.offsets(name)).map(({ value }) => StoredOffset.fromJSON(JSON.parse(value))),
    keysUnder: (prefix: string): string[] => store.peek(prefixRange(prefix)).map(({ key }) => key),
    close: async (): Promise<void> => {
      await clock.resolve(service.stop());
    },
  };
  return mesh;
}

export type ConfigMesh = Awaited<ReturnType<typeof configMesh>>;

export const fileConfig = { 'connector.class': 'FileStreamSource', topic: 't', file: '/a' };
export const sinkConfig = { 'connector.class': 'FileStreamSink', topics: 't', file: '/b' };

export function commitRequest(given: Partial<CommitRequest>): CommitRequest {
  return {
    connector: 'c',
    task: 0,
    generation: '',
    token: 0n,
    sequence: 1n,
    offsets: [],
    sinkStates: {},
    marks: [],
    topics: [],
    release: false,
    releaseStatus: undefined,
    traceparent: '',
    ...given,
  };
}

export function sourceOffset(partition: string, position: number): StoredOffset {
  const offsetJson = JSON.stringify({ position });
  return { ...StoredOffset.create(), partitionJson: JSON.stringify({ filename: partition }), offsetJson };
}

export function sinkOffset(queue: number, position: number, broker = 'b'): StoredOffset {
  return { ...StoredOffset.create(), queue: { topic: 't', broker, queue }, position: BigInt(position) };
}

/** Knows FileStreamSource (`topic` required, `password` secret, `tasks.max` ≥ 1) and FileStreamSink. */
class FakePluginHost {
  static readonly plugins = [
    {
      name: 'FileStreamSource',
      version: '1.0.0',
      kind: PluginKind.SOURCE,
      aliases: ['org.apache.kafka.connect.file.FileStreamSourceConnector'] as string[],
      secretKeys: ['password'] as string[],
    },
    { name: 'FileStreamSink', version: '1.0.0', kind: PluginKind.SINK, aliases: [] as string[], secretKeys: [] as string[] },
  ];
  validations = 0;
  readonly altered: AlterOffsetsRequest[] = [];
  /** Refuses every change of offsets with this. */
  refusal: string | null = null;
  /** Runs before an answer. */
  before: () => Promise<void> = async () => undefined;

  readonly implementation = implement(PluginHostServiceDefinition, {
    describe: async ({ plugin }) => {
      throw new ConfigError(`no plugin ${plugin}`);
    },
    validate: async ({ plugin, config }) => {
      this.validations++;
      await this.before();
      const found = FakePluginHost.plugins.find(({ name, aliases }) => name === plugin || aliases.includes(plugin));
      if (found === undefined) {
        throw new ConfigError(
          `Failed to find any class that implements Connector and which name matches ${plugin}, available connectors are: `,
        );
      }
      const errors: [string, string][] = [];
      if (config['tasks.max'] === '0') errors.push(['tasks.max', 'Invalid value 0 for configuration tasks.max: Value must be at least 1']);
      if (found.kind === PluginKind.SOURCE && config['topic'] === undefined) {
        errors.push(['topic', 'Missing required configuration "topic" which has no default value.']);
      }
      const values = errors.map(([name, error]) => ({
        name,
        recommendedValues: [],
        errors: [error],
        visible: true,
        value: undefined,
        definition: undefined,
      }));
      const { name, kind, version, secretKeys } = found;
      const type = kind === PluginKind.SOURCE ? ConnectorType.SOURCE : ConnectorType.SINK;
      return { name, type, version, secretKeys, values, groups: [], errorCount: errors.length, warnings: [] };
    },
    alterOffsets: async (request) => {
      this.altered.push(request);
      await this.before();
      if (this.refusal !== null) throw new ConfigError(this.refusal, { field: 'offsets' });
      return {};
    },
  });
}

async function* streamOf<T>(items: readonly T[]): AsyncIterable<T> {
  yield* items;
}

function decodeAt<T>(store: SimulatedStore, type: { fromJSON(object: unknown): T }, key: string): T | null {
  const kv = store.peek({ start: key, end: `${key}\0` })[0];
  return kv === undefined ? null : type.fromJSON(JSON.parse(kv.value));
}
