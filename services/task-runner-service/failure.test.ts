import assert from 'node:assert/strict';
import { ConfigError, FatalError } from '@rocketmq-connect/sdk';
import { toFailure } from './failure.ts';

describe('toFailure', () => {
  it('ends with the remedy, as a sentence of its own', () => {
    const { message } = toFailure(new FatalError('the disk is full', { code: 'FULL', remedy: 'Free some.' }));
    assert.equal(message, 'FULL: the disk is full. Free some.');
    assert.equal(toFailure(new ConfigError('who?', { remedy: 'Say it.' })).message, 'CONFIG_INVALID: who? Say it.');
  });

  it('says of an unexpected error where it was thrown, and of others not', () => {
    assert.match(toFailure(new TypeError('x is not\na function')).message, /^UNEXPECTED: x is not\na function\n +at .*failure\.test\.ts/);
    assert.doesNotMatch(toFailure(new FatalError('gone')).message, /\n/);
    assert.equal(toFailure('a text').message, 'UNEXPECTED: a text');
  });
});
