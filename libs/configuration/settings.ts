import { type Static, Type } from 'typebox';

const port = (description: string, value: number) => Type.Integer({ description, default: value, minimum: 0, maximum: 65_535 });
const ms = (description: string, value: number, minimum = 1, maximum = 31_536_000_000) =>
  Type.Integer({ description, default: value, minimum, maximum });

/**
 * Every setting of every process: the single source of types, defaults, flags (`--rest-port`), variables (`RMQC_REST_PORT`), the YAML
 * file (`rest: {port: …}`) and docs/configuration.md.
 */
export const SettingsSchema = Type.Object({
  cluster: Type.String({
    description: 'Name of the cluster: the prefix of its keys in the metadata store.',
    default: 'default',
    minLength: 1,
    maxLength: 100,
  }),
  id: Type.String({
    description:
      'Id of this process, unique among those of its kind in the cluster; empty: host name and gRPC port, or `runner-1` for standalone.',
    default: '',
    maxLength: 100,
  }),
  bind: Type.String({
    description: 'Address to listen on, for gRPC and for REST. Beyond loopback it needs TLS, or `insecure`.',
    default: '127.0.0.1',
    minLength: 1,
  }),
  advertise: Type.String({
    description: 'Host, or host:port, by which the other processes reach this one; empty: the address it listens on.',
    default: '',
  }),
  insecure: Type.Boolean({
    description: 'Accept connections beyond loopback that are not encrypted: of gRPC, REST, etcd and RocketMQ.',
    default: false,
  }),
  leaseTtlMs: ms(
    'Time after which a process that is not heard of is given up: a runner loses its tasks, a scheduler the lead, others are not found any more.',
    10_000,
    3_000,
  ),
  dataDir: Type.String({
    description: 'Folder of the embedded metadata store and the embedded message log.',
    default: './data',
    minLength: 1,
  }),
  plugins: Type.Array(Type.String(), {
    description: 'Connectors, converters, transforms and predicates of your own: packages, folders, .ts or .js files.',
    default: [],
  }),
  rest: Type.Object({
    host: Type.String({ description: 'Address that the REST gateway listens on, if another than `bind`.', default: '' }),
    port: port('Port of the REST gateway; 0 picks a free one.', 8083),
  }),
  restTls: Type.Object({
    certFile: Type.String({ description: 'PEM file of the certificate of the REST gateway, which then speaks HTTPS.', default: '' }),
    keyFile: Type.String({ description: 'PEM file of the key of that certificate.', default: '' }),
  }),
  grpc: Type.Object({
    port: port('Port of the gRPC services; 0 picks a free one.', 9083),
  }),
  metrics: Type.Object({
    host: Type.String({ description: 'Address of the port of /metrics and /health.', default: '127.0.0.1', minLength: 1 }),
    port: Type.Integer({
      description:
        'Port of /metrics and /health of this process; 0 is none. -1: 9464 if it is free, and none where the REST port shows the same (gateway, standalone).',
      default: -1,
      minimum: -1,
      maximum: 65_535,
    }),
  }),
  meshTls: Type.Object({
    caFile: Type.String({ description: 'PEM file of the authority that signs the certificates of all processes.', default: '' }),
    certFile: Type.String({
      description: 'PEM file of the certificate of this process, for the name that it is reached by; peers must show one too.',
      default: '',
    }),
    keyFile: Type.String({ description: 'PEM file of the key of that certificate.', default: '' }),
    serverName: Type.String({
      description: 'Name that the certificates of all processes carry, where they do not carry the addresses of each.',
      default: '',
    }),
  }),
  labels: Type.Array(Type.String(), {
    description: 'Labels of the task runner, as label=value; connectors choose by them with `placement.labels`.',
    default: [],
  }),
  runner: Type.Object({
    zone: Type.String({ description: 'Where the runner stands; tasks of one connector are spread over zones.', default: '' }),
    capacity: Type.Integer({
      description: 'Most that the runner takes: the sum of the weights of its tasks, a connector counting 1; 0 is no limit.',
      default: 0,
      minimum: 0,
      maximum: 100_000,
    }),
    hosts: Type.Integer({
      description: 'Threads that run tasks, started on demand; 0 is one per core.',
      default: 0,
      minimum: 0,
      maximum: 256,
    }),
    hostHeapMb: Type.Integer({
      description: 'Heap of one thread or process that runs tasks; beyond it, it is ended. Record bodies do not count.',
      default: 512,
      minimum: 64,
      maximum: 65_536,
    }),
    hostMemoryMb: Type.Integer({
      description: 'All memory of one process that runs tasks (tasks.isolation=process); beyond it, it is ended.',
      default: 1_024,
      minimum: 128,
      maximum: 1_048_576,
    }),
  }),
  scheduler: Type.Object({
    graceDelayMs: ms(
      'How long a runner that is gone keeps its tasks, so that one which comes back finds them; on top of `leaseTtlMs`.',
      0,
      0,
    ),
  }),
  peers: Type.Object({
    config: Type.Array(Type.String(), {
      description: 'Addresses (host:port) of config-services; empty: those that are registered in etcd.',
      default: [],
    }),
    scheduler: Type.Array(Type.String(), {
      description: 'Addresses of scheduler-services; empty: those that are registered.',
      default: [],
    }),
    runner: Type.Array(Type.String(), { description: 'Addresses of task runners; empty: those that are registered.', default: [] }),
  }),
  offsets: Type.Object({
    commitIntervalMs: ms('Time between two commits of a task.', 5_000, 10),
  }),
  tasks: Type.Object({
    startTimeoutMs: ms('Time a task may take to start.', 60_000, 100),
    stopTimeoutMs: ms('Time a task may take to stop before its thread is ended.', 5_000, 100),
    planTimeoutMs: ms('Time a connector may take to plan its tasks.', 60_000, 100),
    askTimeoutMs: ms('Time a plugin may take to validate a configuration or an edit of offsets.', 9_000, 100, 25_000),
    pollTimeoutMs: ms('Time one poll of a source may take, waits by context.sleep not counted; 0 is no limit.', 300_000, 0),
    putTimeoutMs: ms('Time one put of a sink may take; 0 is no limit.', 300_000, 0),
    flushTimeoutMs: ms("Time a sink's flush or a source's committed may take; 0 is no limit.", 300_000, 0),
    blockedTimeoutMs: ms('Time an event loop that runs tasks may be blocked by their code.', 10_000, 1_000),
  }),
  etcd: Type.Array(Type.String(), {
    description: 'Client addresses (host:port) of an etcd cluster, 3.4 or newer; empty: the embedded metadata store in the data folder.',
    default: [],
  }),
  etcdTls: Type.Object({
    enabled: Type.Boolean({ description: 'Encrypt the connections to etcd; so does naming one of the files.', default: false }),
    caFile: Type.String({ description: "PEM file of the authorities to trust; empty: the system's.", default: '' }),
    certFile: Type.String({ description: "PEM file of this process's certificate, where etcd asks clients for one.", default: '' }),
    keyFile: Type.String({ description: 'PEM file of the key of that certificate.', default: '' }),
  }),
  etcdAuth: Type.Object({
    username: Type.String({ description: 'User of etcd, where it asks for one.', default: '' }),
    password: Type.String({
      description: 'Its password, by reference: `${env:NAME}` or `${file:/path}`, never the password itself.',
      default: '',
      secret: true,
    }),
  }),
  rocketmq: Type.Object({
    namesrv: Type.Array(Type.String(), {
      description: 'Name servers (host:port) of a RocketMQ cluster, 4.4 or newer; empty: the embedded message log in the data folder.',
      default: [],
    }),
    proxy: Type.Array(Type.String(), {
      description:
        'gRPC proxies (host:port) of a RocketMQ 5 cluster, where name servers and brokers cannot be reached: see docs/rocketmq-proxy.md. Not with namesrv.',
      default: [],
    }),
    namespace: Type.String({
      description: 'Namespace of all topics and consumer groups: topic t is NAMESPACE%t to the brokers.',
      default: '',
      maxLength: 60,
    }),
    accessKey: Type.String({ description: 'Access key, where brokers ask for one.', default: '' }),
    secretKey: Type.String({
      description: 'Secret of the access key, by reference: `${env:NAME}` or `${file:/path}`, never the secret itself.',
      default: '',
      secret: true,
    }),
    tls: Type.Boolean({
      description: 'Encrypt the connections to name servers and brokers, or to proxies; so does naming one of the files.',
      default: false,
    }),
    tlsCaFile: Type.String({ description: "PEM file of the authorities to trust; empty: the system's.", default: '' }),
    tlsCertFile: Type.String({ description: 'PEM file of a certificate of our own, where servers ask for one.', default: '' }),
    tlsKeyFile: Type.String({ description: 'PEM file of the key of that certificate.', default: '' }),
  }),
  messageLog: Type.Object({
    flush: Type.Union([Type.Literal('commit'), Type.Literal('batch')], {
      description: 'When the embedded log is forced to disk: before offsets that rely on it are committed, or after each batch.',
      default: 'commit',
    }),
    segmentBytes: Type.Integer({
      description: 'Size at which a segment file is closed.',
      default: 128 * 1024 * 1024,
      minimum: 1024 * 1024,
      maximum: 1024 * 1024 * 1024,
    }),
    retentionMs: Type.Integer({
      description: 'Age at which segments of the embedded log are deleted; 0 keeps them.',
      default: 604_800_000,
      minimum: 0,
      maximum: 31_536_000_000_000,
    }),
    retentionBytes: Type.Integer({
      description: 'Bytes kept per queue of the embedded log; 0 is no limit.',
      default: 0,
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
    }),
  }),
  secrets: Type.Object({
    allowLiteral: Type.Boolean({
      description:
        'Accept secrets written into a connector configuration in clear, with a warning, instead of asking for ${env:…} or ${file:…}.',
      default: true,
    }),
  }),
  log: Type.Object({
    level: Type.Union(
      ['trace', 'debug', 'info', 'warn', 'error', 'silent'].map((level) => Type.Literal(level as 'info')),
      { description: 'Least severe level that is logged.', default: 'info' },
    ),
    format: Type.Union([Type.Literal('auto'), Type.Literal('json'), Type.Literal('pretty')], {
      description: 'How log lines look; auto is pretty on a terminal and JSON elsewhere.',
      default: 'auto',
    }),
  }),
});

export type Settings = Static<typeof SettingsSchema>;
