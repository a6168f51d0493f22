import assert from 'node:assert/strict';
import { RetriableError } from '@rocketmq-connect/sdk';
import fc from 'fast-check';
import { resolveReferences } from './references.ts';
import { hideSecrets, hideSecretsInError, restoreReferences, secretValues } from './secrets.ts';

const ref = (name: string): string => `$\{env:${name}}`;

describe('S144: secrets', () => {
  const sources = { env: { PASSWORD: 'ge"heim/42', SHORT: 'abc' }, readFile: () => '' };
  const original = { url: `db://joe:${ref('PASSWORD')}@host`, password: 'literal-pw', topic: 'orders', n: ref('SHORT') };
  const resolved = resolveReferences(original, sources);
  const secrets = secretValues(original, resolved, sources);

  it('are the values of references, alone and in their texts, and of secret keys', () => {
    assert.deepEqual(new Set(secrets), new Set([resolved.url, 'ge"heim/42', 'literal-pw']));
  });

  it('are hidden in text, also as JSON and in URLs', () => {
    const text = `cannot log in with ge"heim/42 (${JSON.stringify({ p: 'ge"heim/42' })}, ?p=${encodeURIComponent('ge"heim/42')}, literal-pw)`;
    assert.equal(hideSecrets(text, secrets), 'cannot log in with [hidden] ({"p":"[hidden]"}, ?p=[hidden], [hidden])');
  });

  it('are hidden in messages, stacks, fields and causes of errors, which stay what they were', () => {
    const error = new RetriableError('refused: literal-pw', {
      code: 'LOGIN',
      field: 'url',
      remedy: 'not literal-pw',
      fields: [{ field: 'url', message: 'literal-pw' }],
      cause: new TypeError('inner literal-pw'),
    });
    const hidden = hideSecretsInError(error, secrets) as RetriableError;
    assert.equal(hidden.kind, 'retriable');
    assert.equal(hidden.code, 'LOGIN');
    assert.equal(hidden.field, 'url');
    assert.equal(hidden.name, 'RetriableError');
    assert.equal((hidden.cause as Error).message, 'inner [hidden]');
    assert.match(hidden.stack ?? '', /\[hidden\]/);
    assert.doesNotMatch(
      [hidden.message, hidden.stack, hidden.remedy, JSON.stringify(hidden.fields), String(hidden.cause)].join(),
      /literal-pw/,
    );
  });
});

describe('restoreReferences', () => {
  const original = { password: ref('PW'), url: `db://${ref('PW')}@h`, topic: 'orders', size: ref('N') };
  const resolved = { password: 'secret-1', url: 'db://secret-1@h', topic: 'orders', size: '1' };

  it('puts references back where a planned value holds what they stand for', () => {
    const planned = { ...resolved, other: 'secret-1', dsn: 'x secret-1 y', partition: '1', full: 'db://secret-1@h' };
    assert.deepEqual(restoreReferences(planned, original, resolved), {
      ...original,
      other: ref('PW'),
      dsn: `x ${ref('PW')} y`,
      // A short value is a coincidence sooner than a secret.
      partition: '1',
      full: `db://${ref('PW')}@h`,
    });
  });

  it('makes a configuration that resolves to what was planned', () => {
    const part = fc.constantFrom('secret-1', 'sec', '$', '{', '}', '$' + '{env:PW}', ref('N'), 'db://', '@h', 'x', '1');
    const text = fc.array(part, { maxLength: 6 }).map((parts) => parts.join(''));
    const sources = { env: { PW: 'secret-1', N: '1' }, readFile: () => '' };
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('password', 'url', 'a', 'b'), text), (planned) => {
        assert.deepEqual(resolveReferences(restoreReferences(planned, original, resolved), sources), { ...planned });
      }),
    );
  });
});
