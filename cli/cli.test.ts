import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { waitFor } from '../test/support/standalone.ts';

const BIN = new URL('./bin/rocketmq-connect.js', import.meta.url).pathname;

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

describe('rocketmq-connect', function () {
  this.timeout(30_000);
  let server: Server;
  let url: string;
  let folder: string;
  let seen: { method: string; url: string; body: unknown }[];
  let answers: Record<string, { status: number; body?: unknown }>;

  before(async () => {
    server = createServer(async (request, response) => {
      const key = `${request.method} ${request.url}`;
      seen.push({ method: request.method ?? '', url: request.url ?? '', body: await bodyOf(request) });
      const answer = answers[key] ?? { status: 404, body: { error_code: 404, message: 'Connector x not found' } };
      response.writeHead(answer.status, { 'content-type': 'application/json' });
      response.end(answer.body === undefined ? undefined : JSON.stringify(answer.body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    folder = mkdtempSync(join(tmpdir(), 'rmqc-cli-'));
  });
  after(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });
  beforeEach(() => {
    seen = [];
    answers = {};
  });

  const run = (...args: string[]): Promise<Run> =>
    new Promise((resolve) => {
      const env = { PATH: process.env['PATH'], RMQC_URL: url };
      execFile(process.execPath, [BIN, ...args], { env, cwd: folder }, (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code), out, err });
      });
    });
  const file = (text: string, name = 'connectors.yaml'): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };

  it('lists connectors as a table and as JSON', async () => {
    const info = { name: 'a', config: { 'connector.class': 'FileStreamSource' }, tasks: [{ connector: 'a', task: 0 }], type: 'source' };
    answers['GET /connectors?expand=info'] = { status: 200, body: { a: { info } } };
    assert.match((await run('connectors', 'list')).out, /NAME +TYPE +TASKS +CLASS\na +source +1 +FileStreamSource/);
    assert.deepEqual(JSON.parse((await run('connectors', 'list', '--json')).out), [info]);
  });

  it('shows the whole error of one connector, of which the table has the beginning', async () => {
    const trace = `FILE_FAULT: ${'x'.repeat(150)}. Free the disk.`;
    const counts = {
      polled: 9,
      acknowledged: 5,
      deduplicated: 0,
      filtered: 1,
      dead_lettered: 1,
      skipped: 0,
      in_flight: 2,
      imbalance: 0,
      lag: 7,
    };
    const tasks = [{ id: 0, state: 'FAILED', worker_id: 'r', trace, ledger: counts }];
    answers['GET /connectors/a/status?ledger=true'] = {
      status: 200,
      body: { name: 'a', type: 'sink', connector: { state: 'RUNNING', worker_id: 'r' }, tasks },
    };
    const { out } = await run('status', 'a');
    assert.match(out, /task 0 .*FAILED .*FILE_FAULT: x+\n/);
    assert.match(out, /RECORDS +POLLED .*\n +task 0 +9 +5 +0 +1 +1 +0 +2 +7/);
    assert.ok(out.endsWith(`\na, task 0: ${trace}\n`), out);
  });

  it('applies a file idempotently: created, updated, unchanged', async () => {
    const documents =
      'name: a b\nconfig: {connector.class: X, tasks.max: 1}\n---\nname: c\nconfig: {connector.class: X}\n---\nname: d\nconfig: {connector.class: Y}\n';
    answers['GET /connectors/c'] = {
      status: 200,
      body: { name: 'c', config: { name: 'c', 'connector.class': 'X' }, tasks: [], type: 'sink' },
    };
    answers['GET /connectors/d'] = {
      status: 200,
      body: { name: 'd', config: { name: 'd', 'connector.class': 'X' }, tasks: [], type: 'sink' },
    };
    answers['POST /connectors'] = { status: 201, body: {} };
    answers['PUT /connectors/d/config'] = { status: 200, body: {} };
    const { out, code } = await run('connectors', 'apply', '-f', file(documents), '--json');
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(out), [
      { name: 'a b', result: 'created' },
      { name: 'c', result: 'unchanged' },
      { name: 'd', result: 'updated' },
    ]);
    assert.deepEqual(seen.find((request) => request.method === 'POST')?.body, {
      name: 'a b',
      config: { 'connector.class': 'X', 'tasks.max': '1' },
    });
    assert.equal(seen[0]?.url, '/connectors/a%20b');
  });

  it('has exit codes for scripts: 2 usage, 3 not found, 4 unreachable', async () => {
    assert.equal((await run('connectors', 'list', '--nonsense')).code, 2);
    assert.equal((await run('connectors', 'get', 'x')).code, 3);
    const unreachable = await run('status', '--url', 'http://127.0.0.1:1');
    assert.equal(unreachable.code, 4);
    assert.match(unreachable.err, /cannot reach the gateway at http:\/\/127\.0\.0\.1:1/);
    assert.match(unreachable.err, /try: start it/);
  });

  it('fails validation with each field and its problem', async () => {
    const values = [{ name: 'file' }, { name: 'topic', errors: ['Missing required configuration "topic" which has no default value.'] }];
    const body = { errorCount: 1, values, warnings: ['fil is not a known configuration; did you mean file?'] };
    answers['POST /v1/plugins/FileStreamSource:validate'] = { status: 200, body };
    const result = await run('validate', '-f', file('{"name":"a","config":{"connector.class":"FileStreamSource","fil":"x"}}'));
    assert.equal(result.code, 1);
    assert.match(result.out, /a has 1 error\(s\):\n {2}topic: Missing required configuration/);
    assert.match(result.err, /warning: fil is not a known configuration/);
    assert.deepEqual(seen[0]?.body, { config: { name: 'a', 'connector.class': 'FileStreamSource', fil: 'x' } });
  });

  it('takes the properties files of Kafka Connect, and tells what was strange about them', async () => {
    answers['POST /connectors'] = { status: 201, body: { name: 'local-file-source' } };
    answers['GET /v1/connectors/local-file-source'] = { status: 200, body: { connector: { warnings: ['fiel: did you mean file?'] } } };
    const text = 'name=local-file-source\nconnector.class=FileStreamSource\ntasks.max=1\nfiel=test.txt\n';
    const result = await run('connectors', 'create', '-f', file(text, 'connect-file-source.properties'));
    assert.deepEqual(result, { code: 0, out: 'local-file-source created\n', err: 'warning: fiel: did you mean file?\n' });
    assert.deepEqual(seen[0]?.body, {
      name: 'local-file-source',
      config: { name: 'local-file-source', 'connector.class': 'FileStreamSource', 'tasks.max': '1', fiel: 'test.txt' },
    });
  });

  it('applies the other connectors of a file where one is refused, and says which', async () => {
    const documents = 'name: bad\nconfig: {connector.class: X}\n---\nname: c\nconfig: {connector.class: X}\n';
    answers['POST /connectors'] = { status: 400, body: { error_code: 400, message: 'no such class', field: 'connector.class' } };
    answers['GET /connectors/c'] = { status: 200, body: { name: 'c', config: { name: 'c', 'connector.class': 'X' }, tasks: [] } };
    const text = await run('connectors', 'apply', '-f', file(documents));
    assert.deepEqual(text, { code: 1, out: 'c unchanged\n', err: 'error: bad: no such class\n  at: connector.class\n' });
    const json = await run('connectors', 'apply', '-f', file(documents), '--json');
    assert.equal(json.code, 1);
    assert.deepEqual(JSON.parse(json.out), [
      { name: 'c', result: 'unchanged' },
      { name: 'bad', result: 'failed', error: { code: 'HTTP_400', message: 'no such class', field: 'connector.class' } },
    ]);
  });

  it('names the plugins that a runner could not load, and why', async () => {
    answers['GET /connector-plugins?connectorsOnly=true'] = { status: 200, body: [{ class: 'X', type: 'sink', version: '1' }] };
    answers['GET /v1/plugins'] = { status: 200, body: { broken: [{ location: 'my.ts', error: 'SyntaxError: x' }] } };
    const { code, out, err } = await run('plugins', '--json');
    assert.deepEqual({ code, classes: JSON.parse(out).map((plugin: { class: string }) => plugin.class) }, { code: 0, classes: ['X'] });
    assert.equal(err, 'warning: my.ts cannot be used: SyntaxError: x\n');
  });

  it('watches on when the gateway goes away for a while, a line of JSON each time', async () => {
    const child = spawn(process.execPath, [BIN, 'status', '--watch', '--json'], { env: { PATH: process.env['PATH'], RMQC_URL: url } });
    try {
      const output = { out: '', err: '' };
      child.stdout.on('data', (chunk: Buffer) => (output.out += chunk));
      child.stderr.on('data', (chunk: Buffer) => (output.err += chunk));
      answers['GET /connectors?expand=status'] = { status: 200, body: {} };
      await waitFor(() => output.out.startsWith('[]\n'), 'the first look');
      answers['GET /connectors?expand=status'] = { status: 503, body: { error_code: 503, message: 'away' } };
      await waitFor(() => output.err.includes('"away"'), 'the look that fails');
      answers['GET /connectors?expand=status'] = { status: 200, body: { a: { status: { name: 'a' } } } };
      await waitFor(() => output.out.endsWith('[{"name":"a"}]\n'), 'the next look');
    } finally {
      child.kill();
    }
  });

  const badFiles: [string, string, RegExp][] = [
    ['broken YAML', 'a: [', /error: .*connectors\.yaml: /],
    ['no name', 'config: {a: 1}', /connector 1: has no name/],
    ['a nested value', 'name: a\nconfig: {b: {c: 1}}', /config\.b must be a text, number or boolean/],
    ['nothing', '', /holds no connector/],
  ];
  for (const [what, text, expected] of badFiles) {
    it(`refuses a connector file with ${what}`, async () => {
      const result = await run('connectors', 'create', '-f', file(text));
      assert.equal(result.code, 1);
      assert.match(result.err, expected);
      assert.equal(seen.length, 0);
    });
  }

  it('lists runners with their state, and who leads', async () => {
    const runner = { version: '1', labels: { disk: 'ssd' }, zone: 'z' };
    const runners = [
      { ...runner, id: 'r1', endpoint: '127.0.0.1:1', ownedUnits: 2, targetUnits: 2 },
      { ...runner, id: 'r2', endpoint: '127.0.0.1:2', draining: true, ownedUnits: 1 },
    ];
    answers['GET /v1/runners'] = { status: 200, body: { runners, leader: 's1' } };
    const { out } = await run('runners');
    assert.match(out, /r1 +READY +2 +z +disk=ssd +1 +127\.0\.0\.1:1\nr2 +DRAINING +1 of 0 +z /);
    assert.match(out, /scheduler s1 leads\n$/);
    assert.deepEqual(JSON.parse((await run('runners', 'list', '--json')).out), { runners, leader: 's1' });
  });

  it('drains a runner and waits until it owns nothing, or only says what would move', async () => {
    const moves = { moves: [{ unit: 'tasks/a/0', from: 'r 1', to: 'r2' }], unplaced: ['tasks/b/0'] };
    answers['POST /v1/runners/r%201:drain'] = { status: 200, body: moves };
    answers['POST /v1/placement:preview'] = { status: 200, body: moves };
    answers['GET /v1/runners'] = { status: 200, body: { runners: [{ id: 'r 1' }], leader: 's1' } };
    assert.match(
      (await run('runners', 'drain', 'r 1', '--wait')).out,
      /tasks\/a\/0 {2}r 1 → r2\ntasks\/b\/0 {2}stops.*\nr 1 is drained: 1 unit\(s\) move, 1 stop/,
    );
    assert.deepEqual(
      seen.map(({ method, url: path }) => `${method} ${path}`),
      ['POST /v1/runners/r%201:drain', 'GET /v1/runners'],
    );
    seen = [];
    assert.match((await run('runners', 'drain', 'r 1', '--dry-run')).out, /r 1 would drain/);
    assert.deepEqual(
      seen.map(({ url: path, body }) => [path, body]),
      [['/v1/placement:preview', { drain: ['r 1'] }]],
    );
  });

  it('explains a task: state, reasons, runners that may not run it, what changed last', async () => {
    // As proto3 JSON has it: what is 0, false or empty is left out.
    const unit = { id: 'tasks/a b/0', connector: 'a b', targetRunner: 'r1', ownerRunner: 'r1', state: 'UNIT_STATE_FAILED' };
    const runners = [{ runner: 'r2', obstacle: 'it is draining' }];
    const explained = { unit, error: 'no such file', sinceMs: '1000', reasons: ['failed on r1'], runners };
    const changes = [{ who: 'ann', what: 'config', changedKeys: ['topic'] }];
    answers['GET /v1/connectors/a%20b:explain?task=0'] = {
      status: 200,
      body: { targetState: 'TARGET_STATE_RUNNING', units: [explained], changes },
    };
    assert.equal(
      (await run('explain', 'a b/0')).out,
      `a b should be RUNNING

a b/0  FAILED on r1 since 1970-01-01T00:00:01.000Z
  no such file
  failed on r1
  not r2: it is draining

changed last:
  1970-01-01T00:00:00.000Z  config by ann  topic
`,
    );
  });

  it('prints the effective settings with their origin', async () => {
    const { settings, origins } = JSON.parse((await run('config', '--rest-port', '99', '--json')).out);
    assert.equal(settings.rest.port, 99);
    assert.equal(origins['rest.port'], 'flag --rest-port');
  });

  it('prints its version', async () => {
    assert.match((await run('--version')).out, /^\d+\.\d+\.\d+\n$/);
  });

  it('hands over from an older Node to the one that npm brought', async function () {
    const old = await olderNode();
    if (old === undefined) return this.skip();
    const handed = await new Promise<Run>((resolve) => {
      execFile(old, [BIN, 'config', '--json'], { cwd: folder }, (error, out, err) => resolve({ code: Number(error?.code ?? 0), out, err }));
    });
    assert.deepEqual({ code: handed.code, err: handed.err }, { code: 0, err: '' });
    assert.equal(JSON.parse(handed.out).origins['rest.port'], 'default');
  });

  it('completes commands, flags, shells and names of connectors in bash, and leaves files to it', async () => {
    answers['GET /connectors'] = { status: 200, body: ['my orders', 'quick'] };
    const script = (await run('completion', 'bash')).out;
    writeFileSync(join(folder, 'rmqc'), `#!/bin/sh\nexec '${process.execPath}' '${BIN}' "$@"\n`, { mode: 0o755 });
    const completions = async (...words: string[]): Promise<string> => {
      const typed = words.map((word) => `'${word}'`).join(' ');
      const ask = `${script}COMP_WORDS=(rmqc ${typed}); COMP_CWORD=${words.length}; _rocketmq_connect; printf '%s,' "\${COMPREPLY[@]}"`;
      const env = { PATH: `${folder}${delimiter}${process.env['PATH']}`, RMQC_URL: url };
      return new Promise((resolve) => execFile('bash', ['-c', ask], { env }, (_, out) => resolve(out)));
    };
    assert.equal(await completions('connectors', 're'), 'resume,restart,');
    assert.equal(await completions('completion', ''), 'bash,zsh,fish,');
    assert.equal(await completions('connectors', 'apply', '-f', ''), ',');
    assert.equal(await completions('connectors', 'apply', '-f', 'some.yaml', '--js'), '--json,');
    assert.equal(await completions('connectors', 'pause', 'my'), 'my orders,');
    assert.equal(await completions('status', '--url', url, '--watch', 'q'), 'quick,');
    assert.equal((await run('completion', 'tcsh')).code, 2);
  });
});

/** A Node of this machine that is too old to run TypeScript as it is. */
async function olderNode(): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const node = join(folder, 'node');
    const version = await new Promise<string>((resolve) => execFile(node, ['--version'], (_, out) => resolve(out)));
    if (/^v(16|18|20)\./.test(version)) return node;
  }
  return undefined;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return text === '' ? undefined : JSON.parse(text);
}
