import assert from 'node:assert/strict';
import { DeadlineWord } from './task-host.ts';

describe('the deadline word', () => {
  it('has passed while there is no session, and from its time on', () => {
    const word = new DeadlineWord();
    assert.ok(word.passed(0));
    word.set(1_000.5);
    assert.ok(!word.passed(1_000.4));
    assert.ok(word.passed(1_000.5));
    assert.ok(!new DeadlineWord(word.buffer).passed(1_000.4), 'every thread sees it');
  });

  it('is extended while the session lasts', () => {
    const word = new DeadlineWord();
    word.set(1_000);
    assert.ok(word.extend(2_000));
    assert.ok(!word.passed(1_999));
  });

  it('is extended no more once its end is latched, by whatever thread, and stands as it was', () => {
    const word = new DeadlineWord();
    word.set(1_000);
    new DeadlineWord(word.buffer).latch();
    assert.ok(word.latched);
    assert.ok(!word.extend(2_000));
    assert.ok(word.passed(1_000));
    assert.ok(!word.passed(999));
    word.set(3_000);
    assert.ok(!word.latched, 'another session begins');
    assert.ok(word.extend(4_000));
  });

  it('is not extended when there is no session', () => {
    const word = new DeadlineWord();
    assert.ok(!word.extend(2_000));
    word.set(1_000);
    word.set(0);
    assert.ok(!word.extend(2_000));
    assert.ok(word.passed(0));
  });
});
