import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSettings } from '@rocketmq-connect/configuration';
import { checkExposure, checkLogExposure, checkRestExposure } from '@rocketmq-connect/process/exposure';
import { parse, stringify } from 'yaml';
import {
  type Container,
  lintChart,
  type Manifest,
  manifests,
  type PodSpec,
  renderChart,
  runTiltfile,
  runTool,
  usePackagingTools,
  validateManifests,
} from './support/packaging.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const CHART = 'deploy/helm/rocketmq-connect';
/** The oldest that the chart takes, and the newest whose schemas are there. */
const KUBERNETES = ['1.27', '1.36'];

const least = { etcd: ['etcd:2379'], rocketmqNamesrv: ['namesrv:9876'] };
const certified = { ...least, tls: { mesh: 'mesh-tls', rest: 'rest-tls', etcd: 'etcd-tls', rocketmq: 'rocketmq-tls' } };
const releases: Readonly<Record<string, object>> = {
  'in clear': { ...least, insecure: true },
  'with certificates, secrets, monitoring and scaling by lag': {
    ...certified,
    secrets: [{ name: 'ETCD_PASSWORD', secret: 'etcd', key: 'password' }],
    settings: { etcdAuth: { username: 'connect', password: '${env:ETCD_PASSWORD}' }, offsets: { commitIntervalMs: 1000 } },
    env: [{ name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: 'http://collector:4318' }],
    imagePullSecrets: [{ name: 'pull' }],
    tolerations: [{ key: 'connect', operator: 'Exists' }],
    taskRunner: {
      labels: { disk: 'ssd' },
      zone: 'here',
      plugins: ['my-connector', 'local/one.ts'],
      volumes: [{ name: 'local', configMap: { name: 'plugins' } }],
      volumeMounts: [{ name: 'local', mountPath: '/app/plugins/local' }],
      secrets: [{ name: 'PG_PASSWORD', secret: 'postgres', key: 'password' }],
      secretFiles: ['postgres'],
      autoscaling: { enabled: true, keda: { enabled: true } },
    },
    serviceMonitor: { enabled: true },
    prometheusRule: { enabled: true, runbookUrl: 'https://example.com/runbooks/' },
    grafanaDashboard: { enabled: true },
  },
  'scaled by CPU, without policies': {
    ...certified,
    taskRunner: { autoscaling: { enabled: true } },
    podDisruptionBudget: { enabled: false },
    networkPolicy: { enabled: false },
  },
  'for development': parse(readFileSync(join(ROOT, 'deploy/development-values.yaml'), 'utf8')),
};

describe('the packaging', function () {
  this.timeout(120_000);
  before(function () {
    usePackagingTools(this);
  });

  it('has a Dockerfile that hadolint finds nothing in', () => {
    assert.deepEqual(runTool('hadolint', 'docker/Dockerfile'), { status: 0, output: '' });
  });

  it('has a compose file that Docker Compose takes', () => {
    assert.deepEqual(runTool('docker-compose', '-f', 'docker/compose.yaml', 'config', '--quiet'), { status: 0, output: '' });
  });

  it('has alert rules that Prometheus takes, and that fire when they should and at no other time', () => {
    const checked = runTool('promtool', 'check', 'rules', `${CHART}/files/alerts.yaml`);
    assert.equal(checked.status, 0, checked.output);
    const tested = runTool('promtool', 'test', 'rules', 'test/alerts.promtest.yaml');
    assert.equal(tested.status, 0, tested.output);
    const tests = readFileSync(join(ROOT, 'test/alerts.promtest.yaml'), 'utf8');
    for (const [, alert] of readFileSync(join(ROOT, CHART, 'files/alerts.yaml'), 'utf8').matchAll(/alert: (\w+)/g))
      assert.ok(tests.includes(`alertname="${alert}"`), `${alert} is tested`);
  });

  it('has a dashboard whose queries Prometheus takes', () => {
    const { panels } = JSON.parse(readFileSync(join(ROOT, CHART, 'files/dashboard.json'), 'utf8'));
    const queries = panels.flatMap((panel: { targets?: { expr: string }[] }) => panel.targets ?? []);
    const rules = queries.map(({ expr }: { expr: string }, i: number) => ({
      record: `query:${i}`,
      expr: expr.replaceAll('$__rate_interval', '5m'),
    }));
    const folder = mkdtempSync(join(tmpdir(), 'rmqc-dashboard-'));
    try {
      writeFileSync(join(folder, 'rules.yaml'), stringify({ groups: [{ name: 'dashboard', rules }] }));
      const { status, output } = runTool('promtool', 'check', 'rules', join(folder, 'rules.yaml'));
      assert.equal(status, 0, output);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  for (const [name, values] of Object.entries(releases)) {
    describe(`a release ${name}`, () => {
      let objects: readonly Manifest[];
      let pods: readonly { readonly owner: Manifest; readonly spec: PodSpec; readonly container: Container }[];

      before(() => {
        objects = renderChart(values);
        pods = objects.flatMap((owner) => {
          const spec = owner.spec?.template?.spec;
          return spec === undefined ? [] : spec.containers.map((container) => ({ owner, spec, container }));
        });
        assert.equal(pods.length, 4);
      });

      it('is linted', () => {
        assert.deepEqual(
          lintChart(values).filter(({ error }) => error !== 'icon is recommended'),
          [],
        );
      });

      it('is valid in every version of Kubernetes', () => {
        for (const version of KUBERNETES) {
          const { errors, unknown } = validateManifests(version, objects);
          assert.deepEqual(errors, [], version);
          const ours = ['PrometheusRule', 'ScaledObject', 'ServiceMonitor'];
          assert.deepEqual(
            unknown.filter((kind) => !ours.includes(kind)),
            [],
          );
        }
      });

      it('has no object twice, and selectors that find what they are for', () => {
        const keys = objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
        assert.deepEqual(keys, [...new Set(keys)]);
        for (const { kind, metadata, spec } of objects) {
          const selector =
            kind === 'Service' ? (spec?.selector as Record<string, string>) : (spec?.selector ?? spec?.podSelector)?.matchLabels;
          const candidates =
            kind === 'ServiceMonitor'
              ? objects.flatMap((object) => (object.kind === 'Service' ? [object.metadata.labels ?? {}] : []))
              : pods.map(({ owner }) => owner.spec?.template?.metadata.labels ?? {});
          if (selector === undefined) continue;
          const found = candidates.filter((labels) => Object.entries(selector).every(([label, value]) => labels[label] === value));
          assert.ok(found.length > 0, `${kind} ${metadata.name} finds nothing`);
        }
        for (const { spec } of objects) {
          if (spec?.scaleTargetRef !== undefined) assert.ok(keys.includes(`${spec.scaleTargetRef.kind}/${spec.scaleTargetRef.name}`));
          for (const { port } of spec?.endpoints ?? [])
            assert.ok(objects.some((object) => object.kind === 'Service' && object.spec?.ports?.some(({ name }) => name === port)));
          if (spec?.serviceName !== undefined) assert.ok(keys.includes(`Service/${spec.serviceName}`));
        }
      });

      it('runs without rights, within limits, probed', () => {
        for (const { spec, container } of pods) {
          assert.equal(spec.securityContext?.['runAsNonRoot'], true);
          assert.equal(spec.automountServiceAccountToken, false);
          assert.equal(container.securityContext?.['allowPrivilegeEscalation'], false);
          assert.equal(container.securityContext?.['readOnlyRootFilesystem'], name !== 'for development');
          assert.deepEqual(container.securityContext?.['capabilities'], { drop: ['ALL'] });
          assert.ok(container.resources?.limits && container.resources.requests && container.livenessProbe && container.readinessProbe);
        }
      });

      it('mounts what its volumes are, once', () => {
        for (const { spec, container } of pods) {
          const volumes = spec.volumes?.map((volume) => volume.name) ?? [];
          assert.deepEqual(volumes, [...new Set(volumes)]);
          assert.deepEqual(new Set(container.volumeMounts?.map((mount) => mount.name)), new Set(volumes));
          const paths = container.volumeMounts?.map(({ mountPath }) => mountPath) ?? [];
          assert.deepEqual(paths, [...new Set(paths)]);
          for (const { configMap } of spec.volumes ?? []) {
            if (configMap === undefined || configMap.name === 'plugins') continue;
            assert.ok(objects.some(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === configMap.name));
          }
        }
      });

      it('gives every process settings that it takes, and certificates that are mounted', () => {
        const folder = mkdtempSync(join(tmpdir(), 'rmqc-chart-'));
        try {
          const text = objects.find(({ kind, data }) => kind === 'ConfigMap' && data?.['rocketmq-connect.yaml'])?.data?.[
            'rocketmq-connect.yaml'
          ];
          writeFileSync(join(folder, 'rocketmq-connect.yaml'), text ?? '');
          for (const { container } of pods) {
            const variables =
              container.env?.map((each) => [each.name, each.value?.replace('$(POD_IP)', '10.1.2.3') ?? 'from-elsewhere']) ?? [];
            assert.deepEqual(
              variables.map(([variable]) => variable),
              [...new Set(variables.map(([variable]) => variable))],
            );
            const { settings } = loadSettings({ flags: {}, env: Object.fromEntries(variables), cwd: folder });
            checkExposure(settings);
            if (container.name === 'gateway') checkRestExposure(settings);
            if (container.name === 'task-runner') checkLogExposure(settings);
            assert.deepEqual(settings.etcd, 'etcd' in values ? values.etcd : []);
            assert.equal(settings.id, 'from-elsewhere');
            const mounted = container.volumeMounts?.map(({ mountPath }) => mountPath) ?? [];
            const { rest, task } = { rest: container.name === 'gateway', task: container.name === 'task-runner' };
            const files = [
              settings.meshTls.keyFile,
              settings.etcdTls.caFile,
              rest ? settings.restTls.keyFile : '',
              task ? settings.rocketmq.tlsCaFile : '',
            ];
            for (const file of files.filter((each) => each !== ''))
              assert.ok(
                mounted.some((path) => file.startsWith(`${path}/`)),
                file,
              );
          }
        } finally {
          rmSync(folder, { recursive: true });
        }
      });
    });
  }

  it('links alerts to their pages, and keeps the words that Prometheus fills in', () => {
    const rule = renderChart(Object.values(releases)[1] ?? {}).find(({ kind }) => kind === 'PrometheusRule');
    const text = JSON.stringify(rule);
    assert.match(text, /"runbook_url":"https:\/\/example\.com\/runbooks\/ConnectTaskFailed\.md"/);
    assert.match(text, /Task \{\{ \$labels\.task \}\} of/);
  });

  it('refuses values that cannot be meant, and says why', () => {
    const refusals: [object, RegExp][] = [
      [{ ...least }, /tls\.mesh is empty.*insecure: true/],
      [{ ...least, tls: { mesh: 'mesh' } }, /tls\.rest is empty/],
      [{ ...certified, etcd: [] }, /etcd is empty: give host:port/],
      [{ ...certified, rocketmqNamesrv: [] }, /rocketmqNamesrv is empty: give host:port/],
      [{ ...certified, etcd: ['http://etcd:2379'] }, /\/etcd\/0/],
      [{ ...certified, taskRunners: {} }, /taskRunners/],
      [{ ...certified, taskRunner: { replicas: 'many' } }, /replicas/],
    ];
    for (const [values, reason] of refusals) assert.throws(() => renderChart(values), reason);
  });

  it('has servers for development that are valid', () => {
    const objects = manifests(readFileSync(join(ROOT, 'deploy/development.yaml'), 'utf8'));
    for (const version of KUBERNETES) assert.deepEqual(validateManifests(version, objects), { errors: [], unknown: [] });
  });

  describe('a Tiltfile', () => {
    it('that on Kubernetes builds the image of the chart, updates it live, and knows every workload', () => {
      const calls = runTiltfile({});
      const all = (builtin: string) => calls.filter(([called]) => called === builtin);
      const objects = [
        ...manifests(readFileSync(join(ROOT, 'deploy/development.yaml'), 'utf8')),
        ...renderChart(releases['for development'] ?? {}),
      ];
      const workloads = objects.flatMap(({ metadata, spec }) => (spec?.template === undefined ? [] : [metadata.name]));
      const resources = all('k8s_resource').map(([, [workload]]) => workload);
      assert.deepEqual(resources.sort(), workloads.sort());
      const [[, [image] = [], build] = []] = all('docker_build');
      for (const { metadata, spec } of objects) {
        for (const container of spec?.template?.spec.containers ?? [])
          if (metadata.name.startsWith('connect-')) assert.equal(container.image, `${image}:latest`);
      }
      assert.match(readFileSync(join(ROOT, String(build?.['dockerfile'])), 'utf8'), new RegExp(` AS ${build?.['target']}$`, 'm'));
      for (const [, [from]] of all('sync')) assert.ok(existsSync(join(ROOT, String(from))), String(from));
    });

    it('that without it starts two servers and each service, runners as many as wished, in an order that ends', () => {
      const resources = runTiltfile({ local: true, runners: '3' }).flatMap(([called, [name], named]) =>
        called === 'local_resource' ? [{ name: String(name), needs: (named['resource_deps'] ?? []) as string[] }] : [],
      );
      const started: string[] = [];
      for (const { name, needs } of resources) {
        for (const need of needs) assert.ok(started.includes(need), `${name} needs ${need}`);
        started.push(name);
      }
      const runners = ['task-runner-1', 'task-runner-2', 'task-runner-3'];
      assert.deepEqual(started, ['install', 'etcd', 'rocketmq', 'config-service', 'scheduler', ...runners, 'gateway']);
    });
  });
});
