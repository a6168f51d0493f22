import assert from 'node:assert/strict';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { UnitFigures } from './unit-figures.ts';
import type { UnitPhase } from './unit-state.ts';

describe('the figures of a unit', () => {
  it('follow its steps: claims, starts, failures, time in states, releases', async () => {
    const clock = new VirtualClock();
    const figures = new UnitFigures(clock);
    const walk = async (...phases: readonly UnitPhase[]): Promise<void> => {
      for (let i = 1; i < phases.length; i++) {
        await clock.advance(1000);
        figures.step('tasks/c/0', 'task', phases[i - 1] as UnitPhase, phases[i] as UnitPhase);
      }
    };
    await walk('IDLE', 'CLAIMING', 'WAITING', 'CLAIMING', 'STARTING', 'RUNNING', 'RESTARTING', 'STARTING', 'FAILED');
    assert.deepEqual(figures.claims, { claimed: 1, refused: 1 });
    assert.deepEqual(figures.startups.task, { success: 1, failure: 1 });
    const history = figures.history('tasks/c/0');
    assert.ok(history);
    assert.equal(history.failures, 2);
    assert.notEqual(history.ownedAtMs, 0);
    await walk('FAILED', 'STARTING', 'RUNNING', 'PAUSED', 'STOPPING', 'RELEASING', 'IDLE');
    assert.equal(figures.spentSeconds(history, 'RUNNING'), 2);
    assert.equal(figures.spentSeconds(history, 'PAUSED'), 1);
    assert.equal(history.failures, 2);
    assert.equal(history.ownedAtMs, 0);
    assert.equal(figures.releases, 1);
    const count = figures.startDurations.task.slice(0, -1).reduce((sum, n) => sum + n, 0);
    assert.equal(count, 1, 'a start is measured from its claim, and a restart claims nothing');
  });
});
