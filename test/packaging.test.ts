import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { settingInfos } from '@rocketmq-connect/configuration';
import { parse } from 'yaml';
import { createProgram } from '../cli/program.ts';
import { unknownInQuery } from './support/promql.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const FILES = 'deploy/helm/rocketmq-connect/files';
const SERVICES = ['config-service', 'scheduler', 'task-runner', 'gateway'];

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string };
}

const rules: readonly Rule[] = parse(read(`${FILES}/alerts.yaml`)).groups.flatMap((group: { rules: Rule[] }) => group.rules);

describe('images and the compose file', () => {
  const variables = new Set(settingInfos.map(({ variable }) => variable));
  const compose: { services: Record<string, { build?: { target: string }; environment?: Record<string, string>; image: string }> } = parse(
    read('docker/compose.yaml'),
    { merge: true },
  );

  it('are of one base that is pinned by its digest', () => {
    const dockerfile = read('docker/Dockerfile');
    assert.match(dockerfile, /^ARG NODE=node:24\.\d+\.\d+-\S+@sha256:[0-9a-f]{64}$/m);
    const targets = [...dockerfile.matchAll(/^FROM (\S+) AS (\S+)$/gm)];
    for (const [, from = ''] of targets) assert.ok(from === '${NODE}' || targets.some(([, , name]) => name === from), from);
  });

  it('are started by the compose file, one service each, with settings that there are', () => {
    const built = Object.entries(compose.services).filter(([, { build }]) => build !== undefined);
    assert.deepEqual(built.map(([name]) => name).sort(), [...SERVICES].sort());
    for (const [name, { build, environment }] of built) {
      assert.equal(build?.target, name);
      for (const variable of Object.keys(environment ?? {})) assert.ok(variables.has(variable), variable);
    }
    for (const [variable] of read('docker/Dockerfile').matchAll(/\bRMQC_\w+(?==)/g)) assert.ok(variables.has(variable), variable);
  });

  it('name no image of others without its version', () => {
    for (const { image } of Object.values(compose.services)) assert.match(image, /:v?\d|^rocketmq-connect\//);
  });
});

describe('alerts, dashboard and scaling', () => {
  it('ask for metrics and labels that there are', () => {
    const dashboard: { panels: { title: string; targets?: { expr: string }[] }[] } = JSON.parse(read(`${FILES}/dashboard.json`));
    const asked = [
      ...rules.map(({ alert, expr }) => [alert, expr]),
      ...dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr])),
      ...[...read('deploy/helm/rocketmq-connect/templates/task-runners.yaml').matchAll(/query: (.*)/g)].map(([, query]) => [
        'KEDA',
        query?.replaceAll(/\{\{.*?\}\}/g, '""'),
      ]),
    ];
    assert.ok(asked.length > 80);
    for (const [where, query = ''] of asked) assert.deepEqual(unknownInQuery(query), [], where);
  });

  it('would be caught asking for others', () => {
    assert.deepEqual(unknownInQuery('sum by (nobody) (rocketmq_connect_no_such_metric)'), [
      'no metric rocketmq_connect_no_such_metric',
      'nothing has a label nobody',
    ]);
    assert.deepEqual(unknownInQuery('rocketmq_connect_ready{connector="a"}'), ['rocketmq_connect_ready has no label connector']);
    assert.deepEqual(unknownInQuery('rocketmq_connect_rest_request_duration_seconds'), [
      'no metric rocketmq_connect_rest_request_duration_seconds',
    ]);
  });

  it('lay the panels of the dashboard side by side, each with a number of its own', () => {
    const { panels }: { panels: { id: number; gridPos: { x: number; y: number; w: number; h: number } }[] } = JSON.parse(
      read(`${FILES}/dashboard.json`),
    );
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
    );
    assert.equal(new Set(cells).size, cells.length);
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  });

  it('have a page for each alert, and an alert for each page, with where to look and what to do', () => {
    const pages = globSync('docs/runbooks/Connect*.md', { cwd: ROOT });
    const names = rules.map(({ alert }) => alert);
    assert.deepEqual(pages.map((page) => basename(page, '.md')).sort(), [...names].sort());
    assert.equal(new Set(names).size, names.length);
    for (const page of pages) {
      const text = read(page);
      assert.match(text, new RegExp(`^# ${basename(page, '.md')}\n\n[^#]+\n## Look\n\n\`\`\`sh\n[^#]+[^]*\n## Do\n\n- `), page);
      for (const [, link = ''] of text.matchAll(/\]\((\w+)\.md\)/g)) assert.ok(names.includes(link), `${page}: ${link}`);
    }
    for (const { labels, annotations, alert } of rules) {
      assert.ok(['critical', 'warning'].includes(labels.severity), alert);
      assert.match(annotations.summary, /\.$/, alert);
    }
  });

  it('name commands and settings that there are', () => {
    const paths = new Set(settingInfos.map(({ path }) => path));
    for (const page of globSync('docs/runbooks/*.md', { cwd: ROOT })) {
      const text = read(page);
      const commands = [...text.matchAll(/^(?:rmqc|rocketmq-connect) (.*?)(?: {2,}#.*)?$/gm), ...text.matchAll(/`rmqc (.*?)`/g)];
      for (const [, command = ''] of commands) assertCommand(command.split(' '), `${page}: ${command}`);
      for (const [, path = ''] of text.matchAll(/`((?:metrics|offsets|runner|scheduler|tasks)\.\w+)`/g))
        assert.ok(paths.has(path) || path === 'tasks.max' || path === 'tasks.isolation', `${page}: ${path}`);
    }
  });
});

/** Takes a command line apart as the program does, without running it. */
function assertCommand(words: readonly string[], where: string): void {
  let command = createProgram();
  const rest = [...words];
  for (;;) {
    const found: ReturnType<typeof createProgram> | undefined = command.commands.find((each) => each.name() === rest[0]);
    if (found === undefined) break;
    command = found;
    rest.shift();
  }
  assert.ok(command.parent !== null, `${where} is no command`);
  const { operands, unknown } = command.parseOptions(rest);
  assert.deepEqual(unknown, [], where);
  assert.ok(operands.length <= command.registeredArguments.length, where);
}
