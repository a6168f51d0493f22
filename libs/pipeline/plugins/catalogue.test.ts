import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { defineSink, defineSource, defineTransform, Type } from '@rocketmq-connect/sdk';
import { type AnyPlugin, createCatalogue, loadCatalogue } from './catalogue.ts';
import { compareVersions } from './version.ts';

const config = Type.Object({});
const lines = (version: string) =>
  defineSource({
    name: 'FileStreamSource',
    version,
    aliases: ['org.apache.kafka.connect.file.FileStreamSourceConnector'],
    config,
    task: () => ({ poll: () => null }),
  });
const catalogueOf = (...plugins: AnyPlugin[]) => createCatalogue(plugins.map((plugin) => ({ plugin, location: 'test' })));

describe('Catalogue', () => {
  for (const name of ['FileStreamSource', 'FileStreamSourceConnector', 'org.apache.kafka.connect.file.FileStreamSourceConnector']) {
    it(`S051: finds a connector as ${name}`, () => assert.equal(catalogueOf(lines('1.0.0')).connector(name).name, 'FileStreamSource'));
  }

  it('S051: finds converters, transforms and predicates by class and simple name', async () => {
    const catalogue = await loadCatalogue({ builtIn: [], plugins: [], baseDirectory: tmpdir() });
    for (const name of ['org.apache.kafka.connect.json.JsonConverter', 'JsonConverter', 'Json'])
      assert.equal(catalogue.stage('converter', name).name, 'JsonConverter');
    for (const name of ['org.apache.kafka.connect.transforms.InsertField$Value', 'InsertField$Value']) {
      assert.equal(catalogue.stage('transform', name).name, 'InsertField$Value');
    }
    assert.equal(catalogue.stage('predicate', 'org.apache.kafka.connect.transforms.predicates.HasHeaderKey').name, 'HasHeaderKey');
    assert.throws(() => catalogue.stage('transform', 'JsonConverter'), { code: 'PLUGIN_UNKNOWN' });
  });

  it('S110: holds several versions side by side, and gives the newest', () => {
    const catalogue = catalogueOf(lines('1.9.0'), lines('1.10.0'), lines('2.0.0-beta.1'));
    assert.equal(catalogue.connector('FileStreamSource').version, '2.0.0-beta.1');
    assert.equal(catalogue.connector('FileStreamSource', '1.9.0').version, '1.9.0');
    assert.deepEqual(
      catalogue.info().map((info) => info.version),
      ['1.9.0', '1.10.0', '2.0.0-beta.1'],
    );
    assert.throws(() => catalogue.connector('FileStreamSource', '3'), {
      code: 'PLUGIN_VERSION_UNKNOWN',
      message: /available versions: \[2.0.0-beta.1, 1.10.0, 1.9.0\]/,
    });
  });

  it('keeps the first of two with the same name and version, and reports the second', () => {
    const [first, second] = [lines('1.0.0'), lines('1.0.0')];
    const catalogue = catalogueOf(first, second);
    assert.equal(catalogue.connector('FileStreamSource'), first);
    assert.match(catalogue.broken[0]?.error ?? '', /already loaded/);
    assert.deepEqual(catalogueOf(first, first).broken, []);
  });

  it('refuses a name that two plugins share, and prefers a whole name', () => {
    const other = defineSink({ name: 'org.other.FileStreamSource', version: '1', config, task: () => ({ put: () => undefined }) });
    const third = defineSink({ name: 'org.third.FileStreamSource', version: '1', config, task: () => ({ put: () => undefined }) });
    assert.equal(catalogueOf(other, lines('1.0.0')).connector('FileStreamSource').kind, 'source');
    assert.throws(() => catalogueOf(other, third).connector('FileStreamSource'), {
      code: 'PLUGIN_AMBIGUOUS',
      message: /org.other.FileStreamSource, org.third.FileStreamSource/,
    });
  });
});

describe('loadCatalogue', () => {
  const plugin = (name: string, more = '') =>
    `export const plugin = { kind: 'transform', name: '${name}', version: '1.0.0', config: { type: 'object', properties: {} }, create: () => ({ apply: (record) => record }) };\n${more}`;
  let base = '';
  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), 'rocketmq-connect-plugins-'));
  });
  afterEach(() => rm(base, { recursive: true, force: true }));
  const write = async (path: string, text: string) => {
    await mkdir(dirname(join(base, path)), { recursive: true });
    await writeFile(join(base, path), text);
  };
  const load = (...plugins: string[]) => loadCatalogue({ builtIn: [], plugins, baseDirectory: base });
  const loaded = async (...plugins: string[]) => {
    const catalogue = await load(...plugins);
    const names = catalogue.info().flatMap((info) => (info.name.startsWith('my') ? [info.name] : []));
    return { names, broken: catalogue.broken };
  };

  it('loads .js and .ts files, default and named exports, relative to the base', async () => {
    await write(
      'a.mjs',
      plugin('myA', `export const second = { ...plugin, name: 'mySecond' };\nexport default plugin;\nexport const helper = () => 1;`),
    );
    await write('sub/b.ts', `type Text = string;\nconst suffix: Text = '';\n${plugin('myB')}`);
    assert.deepEqual(await loaded('a.mjs', './sub/b.ts'), { names: ['myA', 'myB', 'mySecond'], broken: [] });
    assert.deepEqual((await loaded(join(base, 'a.mjs'))).names, ['myA', 'mySecond']);
  });

  it('loads a folder of files and packages, without their tests and declarations', async () => {
    await write('plugins/a.mjs', plugin('myA'));
    await write('plugins/a.test.mjs', 'throw new Error("a test was loaded")');
    await write('plugins/b.d.ts', 'nonsense');
    await write('plugins/notes.txt', 'nonsense');
    await write('plugins/pkg/package.json', '{"name":"pkg","type":"module","exports":{".":{"types":"./x.d.ts","import":"./main.js"}}}');
    await write('plugins/pkg/main.js', plugin('myPackage'));
    assert.deepEqual(await loaded('plugins'), { names: ['myA', 'myPackage'], broken: [] });
  });

  it('loads packages that are installed at the base or above it', async () => {
    await write('node_modules/@me/esm/package.json', '{"name":"@me/esm","type":"module","exports":"./index.js"}');
    await write('node_modules/@me/esm/index.js', plugin('myEsm'));
    await write('node_modules/cjs/package.json', '{"name":"cjs","main":"lib/main"}');
    await write('node_modules/cjs/lib/main.js', plugin('myCjs').replace('export const plugin =', 'exports.plugin ='));
    assert.deepEqual(await loaded('@me/esm', 'cjs'), { names: ['myCjs', 'myEsm'], broken: [] });
  });

  it('gives the SDK to a plugin that lies where none is installed, and its own to one that has it', async () => {
    const uses = (name: string, from: string) =>
      `import { defineTransform, Type } from '${from}';\nexport default defineTransform({ name: '${name}', version: '1', config: Type.Object({}), create: () => ({ apply: (record) => record }) });`;
    await write('alone.ts', uses('myAlone', '@rocketmq-connect/sdk'));
    await write('own/node_modules/@rocketmq-connect/sdk/package.json', '{"type":"module","exports":"./index.js"}');
    await write(
      'own/node_modules/@rocketmq-connect/sdk/index.js',
      `export const Type = { Object: () => ({ type: 'object', properties: {} }) };\nexport const defineTransform = (it) => ({ kind: 'transform', ...it, name: it.name + 'Own' });`,
    );
    await write('own/plugin.mjs', uses('my', '@rocketmq-connect/sdk'));
    await write('part.mjs', uses('myPart', '@rocketmq-connect/sdk/stages'));
    const { names, broken } = await loaded('alone.ts', 'own/plugin.mjs', 'part.mjs');
    assert.deepEqual(names, ['myAlone', 'myOwn']);
    assert.match(broken[0]?.error ?? '', /does not provide an export named 'Type'/);
  });

  it('S110: reports a bad plugin with its reason, and loads the others', async () => {
    await write('throws.mjs', 'throw new Error("no database");');
    await write('syntax.mjs', 'export const = 1;');
    await write('empty.mjs', 'export const x = 1;');
    await write('shape.mjs', plugin('myBad').replace("version: '1.0.0', ", ''));
    await write('kind.mjs', plugin('myBad').replace("kind: 'transform'", "kind: 'filter'"));
    await write('types.mjs', plugin('myBad').replace('properties: {}', "properties: { when: { type: 'object' } }"));
    await write('needs-more.mjs', `import 'no-such-driver';\n${plugin('myBad')}`);
    await write('node_modules/ts-only/package.json', '{"name":"ts-only","type":"module","exports":"./index.ts"}');
    await write('node_modules/ts-only/index.ts', plugin('myBad'));
    await write('hollow/readme.md', '');
    await write('good.mjs', plugin('myGood'));
    await write('typed.ts', 'const a: number = 1;\nconst b: number = ;\n');
    const entries = [
      'typed.ts',
      'throws.mjs',
      'syntax.mjs',
      'empty.mjs',
      'shape.mjs',
      'kind.mjs',
      'types.mjs',
      'needs-more.mjs',
      'ts-only',
      './gone.js',
      'no-such-package',
      'hollow',
      '',
      'good.mjs',
    ];
    const { names, broken } = await loaded(...entries);
    assert.deepEqual(names, ['myGood']);
    const expected = [
      /^SyntaxError: Expression expected \(.*typed\.ts:2\)$/,
      /^no database$/,
      /^SyntaxError: /,
      /exports no plugin/,
      /export plugin: "version" must be a text/,
      /export plugin: "kind" must be one of/,
      /export plugin: "config" has the key "when", of a type that a configuration cannot have/,
      /Cannot find package 'no-such-driver' imported from .*needs-more.mjs/,
      /TypeScript below node_modules, where Node strips no types; packages must ship JavaScript/,
      /gone.js does not exist/,
      /the package no-such-package is not installed .* run npm install/,
      /holds no .ts or .js file and no package/,
      /the entry is empty/,
    ];
    assert.equal(broken.length, expected.length, JSON.stringify(broken, null, 1));
    for (const [at, pattern] of expected.entries()) assert.match(broken[at]?.error ?? '', pattern);
  });

  it('never lets a plugin take the name of one of ours', async () => {
    await write('a.mjs', plugin('Filter'));
    const catalogue = await load('a.mjs');
    assert.match(catalogue.broken[0]?.error ?? '', /transform Filter 1.0.0 was already loaded \(built in\)/);
  });
});

describe('compareVersions', () => {
  it('orders semantic versions', () => {
    const ordered = [
      '0.9.0',
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-rc.2',
      '1.0.0-rc.10',
      '1.0.0',
      '1.0.1',
      '1.2.0',
      '1.10.0',
      '2.0.0',
    ];
    assert.deepEqual(ordered.toReversed().toSorted(compareVersions), ordered);
    assert.equal(compareVersions('1.0.0+a', '1.0.0+b'), 0);
  });
});

describe('defineTransform', () => {
  it('is found as it is declared', () => {
    const transform = defineTransform({ name: 'mine', version: '1', config, create: () => ({ apply: (record) => record }) });
    assert.equal(catalogueOf(transform).stage('transform', 'mine'), transform);
  });
});
