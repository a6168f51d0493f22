import assert from 'node:assert/strict';
import { ConfigError } from '@rocketmq-connect/sdk';
import fc from 'fast-check';
import { escapeReferences, parseProperties, referencesIn, resolveReferences, resolveValue } from './references.ts';

const files: Record<string, string> = {
  '/run/secret': 's3cret\n',
  '/run/two-lines': 'a\nb\r\n',
  '/run/db.properties': '# comment\nuser = joe\npassword:p=w:d\nlong = one\\\n   two\npath C:\\\\x\nempty=\n',
};
const sources = {
  env: { USER: 'joe', EMPTY: '' },
  readFile: (path: string) => {
    const content = files[path];
    if (content === undefined) throw Object.assign(new Error(`ENOENT: no such file, open '${path}'`), { code: 'ENOENT' });
    return content;
  },
};

describe('resolveReferences', () => {
  for (const [text, value] of [
    // biome-ignore-start lint/suspicious/noTemplateCurlyInString: references look like this.
    ['plain', 'plain'],
    ['${env:USER}', 'joe'],
    ['${env:EMPTY}', ''],
    ['<${env:USER}@${env:USER}>', '<joe@joe>'],
    ['${file:/run/secret}', 's3cret'],
    ['${file:/run/two-lines}', 'a\nb'],
    ['${file:/run/db.properties:user}', 'joe'],
    ['${file:/run/db.properties:password}', 'p=w:d'],
    ['${file:/run/db.properties:long}', 'onetwo'],
    ['${file:/run/db.properties:path}', 'C:\\x'],
    ['${file:/run/db.properties:empty}', ''],
    ['$${env:USER}', '${env:USER}'],
    ['$${anything}', '${anything}'],
    ['${topic}-${1}', '${topic}-${1}'],
    ['$1 costs $', '$1 costs $'],
    // biome-ignore-end lint/suspicious/noTemplateCurlyInString: see above.
  ] as const) {
    it(`reads ${text} as ${JSON.stringify(value)}`, () => assert.deepEqual(resolveReferences({ key: text }, sources), { key: value }));
  }

  it('does not resolve what a value brings along', () => {
    const env = { OUTER: '$' + '{env:USER} $& $1', USER: 'joe' };
    assert.equal(resolveValue('$' + '{env:OUTER}', { ...sources, env }), env.OUTER);
  });

  it('names every key, the variable or file, and what to do', () => {
    const config = {
      ok: 'x',
      a: '$' + '{env:NOPE}',
      b: '$' + '{file:/none}',
      c: '$' + '{file:/run/db.properties:none}',
      d: '$' + '{env:}',
    };
    assert.throws(
      () => resolveReferences(config, sources),
      (error: unknown) => {
        assert(error instanceof ConfigError);
        assert.equal(error.field, 'a');
        assert.equal(error.code, 'REFERENCE_UNRESOLVED');
        assert.deepEqual(
          error.fields.map(({ field }) => field),
          ['a', 'b', 'c', 'd'],
        );
        assert.match(error.message, /a: the environment variable NOPE is not set/);
        assert.match(error.message, /b: the file \/none cannot be read \(ENOENT\)/);
        assert.match(error.message, /c: the file \/run\/db.properties has no key none/);
        assert.match(error.message, /d: the reference .* is not complete/);
        assert.doesNotMatch(error.message, /p=w:d|joe/);
        return true;
      },
    );
  });

  it('gives back any text that was escaped', () => {
    const text = fc.array(fc.constantFrom('$', '{', '}', 'env:', 'USER', 'file:', '/run/secret', ':', 'x')).map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, (original) => {
        assert.equal(resolveValue(escapeReferences(original), sources), original);
        assert.deepEqual(referencesIn(escapeReferences(original)), []);
      }),
    );
  });
});

describe('parseProperties', () => {
  it("reads Java's format", () => {
    const text = ['  a=1', 'b : 2', 'c 3', '! no', 'd\\=e=4', 'f=\\u00e9\\t|', 'g', 'h=x\\\\', 'i=last\\'].join('\n');
    assert.deepEqual(Object.fromEntries(parseProperties(text)), {
      a: '1',
      b: '2',
      c: '3',
      'd=e': '4',
      f: 'é\t|',
      g: '',
      h: 'x\\',
      i: 'last',
    });
  });
});
