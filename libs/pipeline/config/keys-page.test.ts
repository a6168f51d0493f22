import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connectorKeysMarkdown } from './keys-page.ts';

describe('docs/connectors/keys.md', () => {
  it('is what the code says: run npm run generate:docs', () => {
    assert.equal(readFileSync(new URL('../../../docs/connectors/keys.md', import.meta.url), 'utf8'), connectorKeysMarkdown());
  });
});
