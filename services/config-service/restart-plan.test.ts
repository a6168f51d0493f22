import assert from 'node:assert/strict';
import { ConnectorType, TargetState, UnitState } from '@rocketmq-connect/proto/common';
import type { ConnectorStatus } from '@rocketmq-connect/proto/connector';
import { isEmpty, markRestarting, restartPlan } from './restart-plan.ts';

const { RUNNING, FAILED, UNASSIGNED, RESTARTING } = UnitState;

function status(connector: UnitState, ...tasks: UnitState[]): ConnectorStatus {
  const unit = (state: UnitState) => ({ state, runner: 'r1', error: state === FAILED ? 'why' : '', sinceMs: 0n, version: '' });
  return {
    name: 'c',
    type: ConnectorType.SOURCE,
    targetState: TargetState.RUNNING,
    connector: unit(connector),
    tasks: tasks.map((state, task) => ({ task, status: unit(state) })),
  };
}

describe('S056: the restart plan', () => {
  const table: [string, ConnectorStatus, boolean, boolean, boolean, number[]][] = [
    // what, status, includeTasks, onlyFailed → connector, tasks
    ['the connector alone', status(RUNNING, RUNNING, FAILED), false, false, true, []],
    ['the connector and its tasks', status(RUNNING, RUNNING, FAILED), true, false, true, [0, 1]],
    ['only failed, none is', status(RUNNING, RUNNING, UNASSIGNED), true, true, false, []],
    ['only failed, of the connector', status(FAILED, FAILED, RUNNING), false, true, true, []],
    ['only failed, one task of three', status(RUNNING, RUNNING, FAILED, RUNNING), true, true, false, [1]],
    ['only failed, all', status(FAILED, FAILED, FAILED), true, true, true, [0, 1]],
  ];
  for (const [what, given, includeTasks, onlyFailed, connector, tasks] of table) {
    it(`S034: ${what}`, () => {
      const plan = restartPlan(given, { includeTasks, onlyFailed });
      assert.deepEqual(plan, { connector, tasks });
      assert.equal(isEmpty(plan), !connector && tasks.length === 0);
      const marked = markRestarting(given, plan);
      assert.equal(marked.connector?.state === RESTARTING, connector);
      assert.deepEqual(
        marked.tasks.filter((task) => task.status?.state === RESTARTING).map(({ task }) => task),
        tasks,
      );
    });
  }

  it('a unit shown as RESTARTING has no error any more', () => {
    const marked = markRestarting(status(FAILED), { connector: true, tasks: [] });
    assert.equal(marked.connector?.error, '');
  });
});
