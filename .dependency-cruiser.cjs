// Dependencies point inward: services → libs → sdk; connectors → sdk only (docs/architecture.md, "Folders").
const ADAPTERS =
  '^libs/(metadata-store/(embedded|simulated|etcd)|message-log/(embedded|simulated|remoting|proxy)|mesh/(grpc|simulated)|telemetry/(pino|span-export)|configuration/system-clock)';
const TEST = '\\.test\\.ts$|^test/|^bench/|^scripts/';

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    {
      name: 'libs-know-no-services',
      severity: 'error',
      from: { path: '^libs/' },
      to: { path: '^(services|connectors|cli|console)/' },
    },
    {
      name: 'connectors-know-the-sdk-only',
      severity: 'error',
      from: { path: '^connectors/', pathNot: TEST },
      to: { path: '^(libs/(?!sdk/)|services|cli|proto)/' },
    },
    {
      name: 'the-sdk-knows-nothing',
      severity: 'error',
      from: { path: '^libs/sdk/', pathNot: TEST },
      to: { path: '^(libs/(?!sdk/)|services|connectors|cli|proto)/' },
    },
    {
      name: 'adapters-are-chosen-where-a-process-is-composed',
      comment: 'Only main files and services/process, which compose a process, know which adapter stands behind a port.',
      severity: 'error',
      from: { path: '^(libs|services|connectors|cli)/', pathNot: [TEST, 'main\\.ts$', '^services/(standalone|process)/', ADAPTERS] },
      to: { path: ADAPTERS },
    },
    {
      name: 'hosts-import-the-data-path-only',
      comment: 'A task host pays for what it imports: no logger, metadata or telemetry.',
      severity: 'error',
      from: { path: '^services/task-runner-service/hosts/(thread|process|host)-main' },
      to: {
        path: '^(libs/(mesh|telemetry/(?!metrics/histogram\\.ts|log-levels\\.ts)|metadata-store|cluster|placement)|proto)/|node_modules/(pino|fastify|egg-logger|@opentelemetry)',
        reachable: true,
      },
    },
    {
      name: 'grpc-in-hosts-through-the-proxy-adapter-only',
      comment: 'A host imports that adapter when it is used.',
      severity: 'error',
      from: { path: '^(libs/(pipeline|message-log)|services/task-runner-service/hosts)/', pathNot: ['^libs/message-log/proxy/', TEST] },
      to: { path: 'node_modules/(@grpc|google-protobuf|rocketmq-client-nodejs)' },
    },
    {
      name: 'the-proxy-adapter-is-imported-when-it-is-used',
      severity: 'error',
      from: { path: '^services/task-runner-service/hosts/' },
      to: { path: '^libs/message-log/proxy/', dependencyTypesNot: ['type-only', 'dynamic-import'] },
    },
    {
      name: 'opentelemetry-in-exports-only',
      comment: 'Spans are plain data everywhere else; what sends them away is loaded where somebody traces.',
      severity: 'error',
      from: { path: '^(libs|services|connectors|cli)/', pathNot: ['^libs/telemetry/', TEST] },
      to: { path: 'node_modules/@opentelemetry' },
    },
    {
      name: 'exports-of-spans-are-imported-when-somebody-traces',
      severity: 'error',
      from: {},
      to: { path: '^libs/telemetry/span-export', dependencyTypesNot: ['type-only', 'dynamic-import'] },
    },
    { name: 'no-orphans-in-libs', severity: 'error', from: { orphan: true, path: '^libs/', pathNot: [TEST, 'index\\.ts$'] }, to: {} },
    { name: 'not-to-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^proto/gen' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.js', '.cjs'],
    },
  },
};
