import assert from 'node:assert/strict';
import { ConnectorType, UnitState } from '@rocketmq-connect/proto/common';
import { TaskStats } from '@rocketmq-connect/proto/runner';
import { describe as describeMoment } from './live-line.ts';

describe('the live line', () => {
  const task = (type: ConnectorType, state: UnitState, lag: bigint): TaskStats => ({ ...TaskStats.fromJSON({}), type, state, lag });

  it('shows rates since the last look, the lag of sinks and how many tasks are in which state', () => {
    const tasks = [
      task(ConnectorType.SOURCE, UnitState.RUNNING, 1_000_000n),
      task(ConnectorType.SINK, UnitState.RUNNING, 1234n),
      task(ConnectorType.SINK, UnitState.FAILED, -1n),
    ];
    const before = { atMs: 1000, read: 500n, written: 100n };
    const now = { atMs: 3000, read: 24_500n, written: 100n };
    assert.equal(describeMoment(tasks, before, now), 'in 12,000/s  out 0/s  lag 1,234  tasks 2 RUNNING, 1 FAILED');
  });

  it('shows no rate before there is one, and none below zero when counters began anew', () => {
    const now = { atMs: 1000, read: 5n, written: 5n };
    assert.equal(describeMoment([], undefined, now), 'in 0/s  out 0/s  lag 0  tasks no tasks');
    assert.match(describeMoment([], { atMs: 0, read: 10n, written: 10n }, now), /^in 0\/s {2}out 0\/s/);
  });
});
