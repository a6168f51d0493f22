import { type Handlers, type Implementation, implement } from '@rocketmq-connect/mesh';
import { ConnectorServiceDefinition, type ConnectorStatus } from '@rocketmq-connect/proto/connector';
import { OffsetServiceDefinition, type PartitionOffset } from '@rocketmq-connect/proto/offset';
import { type ConfigKey, PluginServiceDefinition } from '@rocketmq-connect/proto/plugin';
import { ConfigError, ConnectError } from '@rocketmq-connect/sdk';

export interface FakeConnector {
  config: Record<string, string>;
  targetState: 'TARGET_STATE_RUNNING' | 'TARGET_STATE_PAUSED' | 'TARGET_STATE_STOPPED';
  /** Errors of tasks by number; '' for a running one. */
  tasks: string[];
  offsets: PartitionOffset[];
  topics?: string[];
}

/** Answers as config-service does, from memory and without any task: what the gateway makes of it is under test. */
export function fakeConfigService() {
  const connectors = new Map<string, FakeConnector>();
  const calls: { readonly method: string; readonly request: unknown }[] = [];
  const find = (name: string, message = `Connector ${name} not found`): FakeConnector => {
    const connector = connectors.get(name);
    if (connector === undefined) throw new ConnectError('notFound', message, { code: 'NOT_FOUND', field: 'name' });
    return connector;
  };
  const valid = (name: string, config: Record<string, string>): Record<string, string> => {
    const named = config['name'];
    if (named !== undefined && named !== name) {
      throw new ConfigError(`Connector name configuration (${named}) doesn't match connector name in the URL (${name})`, { field: 'name' });
    }
    const kind = config['connector.class'];
    if (kind === undefined)
      throw new ConfigError(`Connector config {name=${name}} contains no connector type`, { field: 'connector.class' });
    if (!/FileStream/.test(kind))
      throw new ConfigError(`Failed to find any class that implements Connector and which name matches ${kind}`);
    const errors = problems(name, config);
    if (errors.length > 0) throw invalid(errors);
    return config;
  };
  const message = (name: string) => {
    const { config, targetState, tasks } = find(name);
    const type = isSink(config) ? ('CONNECTOR_TYPE_SINK' as const) : ('CONNECTOR_TYPE_SOURCE' as const);
    return { name, config, type, targetState, configRevision: 1n, tasks: tasks.map((_, index) => index), warnings: [] };
  };
  const status = (name: string): ConnectorStatus => {
    const { type, targetState } = message(name);
    const stopped = targetState === 'TARGET_STATE_STOPPED';
    const state = targetState.replace('TARGET', 'UNIT') as 'UNIT_STATE_RUNNING';
    const unit = { state, runner: 'runner-1', error: '', sinceMs: 0n, version: '0.1.0' };
    const tasks = stopped ? [] : find(name).tasks;
    return {
      name,
      type,
      targetState,
      connector: unit,
      tasks: tasks.map((error, task) => ({
        task,
        status: error === '' ? unit : { ...unit, state: 'UNIT_STATE_FAILED', error, version: '' },
      })),
    };
  };
  const mutable = (name: string): FakeConnector => {
    const connector = find(name);
    if (connector.targetState === 'TARGET_STATE_STOPPED') return connector;
    const text = 'Connectors must be in the STOPPED state before their offsets can be modified.';
    throw new ConfigError(
      `${text} This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/${name}/stop' endpoint`,
    );
  };

  const connectorHandlers: Handlers<typeof ConnectorServiceDefinition> = {
    async create({ name, config, initialState }) {
      if (connectors.has(name))
        throw new ConnectError('conflict', `Connector ${name} already exists`, { code: 'ALREADY_EXISTS', field: 'name' });
      const targetState = initialState as FakeConnector['targetState'];
      connectors.set(name, { config: valid(name, config), targetState, tasks: [], offsets: [] });
      return { connector: message(name) };
    },
    get: async ({ name }) => ({ connector: message(name) }),
    list: async ({ withStatus }) => ({
      connectors: [...connectors.keys()].map(message),
      statuses: withStatus ? Object.fromEntries([...connectors.keys()].map((name) => [name, status(name)])) : {},
    }),
    async *watch() {
      for (const name of connectors.keys()) yield { connector: message(name), deleted: '', synced: false };
      yield { connector: undefined, deleted: '', synced: true };
    },
    async update({ name, config }) {
      const before = connectors.get(name);
      valid(name, config);
      connectors.set(name, { targetState: 'TARGET_STATE_RUNNING', tasks: [], offsets: [], ...before, config });
      return { connector: message(name), created: before === undefined };
    },
    async patch({ name, set, remove }) {
      const connector = find(name);
      connector.config = { ...connector.config, ...set };
      for (const key of remove) delete connector.config[key];
      return { connector: message(name) };
    },
    async delete({ name }) {
      find(name);
      connectors.delete(name);
      return {};
    },
    async setTargetState({ name, targetState }) {
      find(name, `Unknown connector ${name}`).targetState = targetState as FakeConnector['targetState'];
      return {};
    },
    async restart({ name }) {
      find(name, `Unknown connector: ${name}`);
      return { status: status(name) };
    },
    async restartTask({ name, task }) {
      const { targetState, tasks } = find(name, `Unknown connector: ${name}`);
      if (targetState === 'TARGET_STATE_STOPPED')
        throw new ConnectError('conflict', `Connector ${name} is STOPPED and has no tasks to restart`);
      if (task >= tasks.length) throw new ConnectError('notFound', `Unknown task: ${name}-${task}`);
      return {};
    },
    async getStatus({ name }) {
      find(name, `No status found for connector ${name}`);
      return { status: status(name) };
    },
    async listTasks({ name }) {
      const { config, tasks } = find(name);
      return { tasks: tasks.map((_, task) => ({ id: { connector: name, task }, config })) };
    },
    activeTopics: async ({ name }) => ({ topics: connectors.get(name)?.topics ?? [] }),
    async resetActiveTopics({ name }) {
      const connector = connectors.get(name);
      if (connector !== undefined) connector.topics = [];
      return {};
    },
    history: async ({ name }) => {
      find(name);
      return { entries: [{ revision: 2n ** 60n, atMs: 5n, who: 'me', what: 'created', changedKeys: [] }] };
    },
  };
  const offsetHandlers: Handlers<typeof OffsetServiceDefinition> = {
    get: async ({ connector }) => ({ offsets: find(connector).offsets }),
    async alter({ connector, offsets }) {
      mutable(connector).offsets = offsets;
      return { message: 'The offsets for this connector have been altered successfully' };
    },
    async reset({ connector }) {
      mutable(connector).offsets = [];
      return { message: 'The offsets for this connector have been reset successfully' };
    },
  };
  const pluginHandlers: Handlers<typeof PluginServiceDefinition> = {
    async list({ allKinds }) {
      const all = [
        entry('FileStreamSink', 'PLUGIN_KIND_SINK', 'org.apache.kafka.connect.file.FileStreamSinkConnector'),
        entry('FileStreamSource', 'PLUGIN_KIND_SOURCE', 'org.apache.kafka.connect.file.FileStreamSourceConnector'),
        entry('JsonConverter', 'PLUGIN_KIND_CONVERTER', 'org.apache.kafka.connect.json.JsonConverter'),
      ];
      return { plugins: allKinds ? all : all.slice(0, 2), broken: [] };
    },
    async describe({ plugin, version }) {
      if (version !== '' && version !== '0.1.0') {
        throw new ConfigError(
          `Plugin ${plugin} not found that matches the version range [${version},${version}], available versions: [0.1.0]`,
        );
      }
      return { plugin: entry(plugin, 'PLUGIN_KIND_SOURCE', plugin), keys: [key('file', ''), key('topic', 'Common')] };
    },
    async validate({ plugin, config }) {
      if (config['connector.class'] === undefined)
        throw new ConfigError('Connector config {} contains no connector type', { field: 'connector.class' });
      const errors = problems(config['name'] ?? '', config);
      const values = ['file', 'topic'].map((name) => ({
        name,
        ...(config[name] === undefined ? {} : { value: config[name] }),
        recommendedValues: [],
        errors: errors.filter((error) => error.field === name).map((error) => error.message),
        visible: true,
        definition: key(name, 'Common'),
      }));
      return { name: plugin, errorCount: errors.length, groups: ['Common'], values, warnings: [] };
    },
  };
  const implementations = [
    recorded(implement(ConnectorServiceDefinition, connectorHandlers)),
    recorded(implement(OffsetServiceDefinition, offsetHandlers)),
    recorded(implement(PluginServiceDefinition, pluginHandlers)),
  ];
  return { connectors, calls, implementations };

  function recorded({ definition, handlers }: Implementation): Implementation {
    const functions = handlers as unknown as Record<string, (request: unknown, context: unknown) => unknown>;
    const wrapped = Object.entries(functions).map(([name, handler]) => [
      name,
      (request: unknown, context: unknown) => {
        calls.push({ method: `${definition.name}/${definition.methods[name]?.name}`, request });
        return handler(request, context);
      },
    ]);
    return { definition, handlers: Object.fromEntries(wrapped) };
  }
}

function isSink(config: Record<string, string>): boolean {
  return /Sink/.test(config['connector.class'] ?? '');
}

function problems(name: string, config: Record<string, string>): { field: string; message: string }[] {
  const errors: { field: string; message: string }[] = [];
  if (name === '') errors.push({ field: 'name', message: 'Invalid value  for configuration name: String may not be empty' });
  if (config['tasks.max'] === '0')
    errors.push({ field: 'tasks.max', message: 'Invalid value 0 for configuration tasks.max: Value must be at least 1' });
  if (!isSink(config) && config['topic'] === undefined) {
    errors.push({ field: 'topic', message: 'Missing required configuration "topic" which has no default value.' });
  }
  return errors;
}

function invalid(errors: readonly { field: string; message: string }[]): ConfigError {
  const lines = errors.map(({ message }) => message).join('\n');
  return new ConfigError(`Connector configuration is invalid and contains the following ${errors.length} error(s):\n${lines}`, {
    fields: errors,
  });
}

function entry(name: string, kind: 'PLUGIN_KIND_SINK' | 'PLUGIN_KIND_SOURCE' | 'PLUGIN_KIND_CONVERTER', className: string) {
  return { name, class: className, kind, version: '0.1.0', description: '', aliases: [], runners: ['runner-1'] };
}

function key(name: string, group: string): ConfigKey {
  return {
    name,
    type: 'STRING',
    required: name === 'topic',
    importance: 'HIGH',
    documentation: `the ${name}`,
    group,
    orderInGroup: 1,
    displayName: name,
    dependents: [],
    secret: false,
    width: '',
  };
}
