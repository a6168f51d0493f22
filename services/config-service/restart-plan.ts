import { UnitState } from '@rocketmq-connect/proto/common';
import type { ConnectorStatus } from '@rocketmq-connect/proto/connector';

/** Which units a restart is for. */
export interface RestartPlan {
  readonly connector: boolean;
  readonly tasks: readonly number[];
}

/** Kafka Connect's rule: the connector, and its tasks if asked; with `onlyFailed` those of them that are FAILED. */
export function restartPlan(status: ConnectorStatus, asked: { readonly includeTasks: boolean; readonly onlyFailed: boolean }): RestartPlan {
  const wanted = (state: UnitState | undefined): boolean => !asked.onlyFailed || state === UnitState.FAILED;
  const tasks = asked.includeTasks ? status.tasks.filter((task) => wanted(task.status?.state)) : [];
  return { connector: wanted(status.connector?.state), tasks: tasks.map(({ task }) => task) };
}

export function isEmpty(plan: RestartPlan): boolean {
  return !plan.connector && plan.tasks.length === 0;
}

/** The status with the planned units shown as RESTARTING. */
export function markRestarting(status: ConnectorStatus, plan: RestartPlan): ConnectorStatus {
  const restarting = { state: UnitState.RESTARTING, error: '' };
  return {
    ...status,
    connector: plan.connector && status.connector !== undefined ? { ...status.connector, ...restarting } : status.connector,
    tasks: status.tasks.map((task) =>
      plan.tasks.includes(task.task) && task.status !== undefined ? { ...task, status: { ...task.status, ...restarting } } : task,
    ),
  };
}
