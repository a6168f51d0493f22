import type { Rpc } from '@rocketmq-connect/mesh';
import { TargetState } from '@rocketmq-connect/proto/common';
import type { Clients } from '../clients.ts';
import { notFound, problem } from '../problem.ts';
import type { RestRequest, Route } from '../route.ts';
import type { RunnerEndpoints } from '../v1/runner-client.ts';
import { call, flag, named } from './connectors.ts';
import * as schemas from './schemas.ts';
import { connectorStatus, taskStatus } from './shapes.ts';
import { taskLedgers } from './task-ledgers.ts';

const tag = 'Lifecycle';
const yesOrNo = { type: 'boolean', default: false };

/** Status, tasks, and what starts and stops them. */
export function lifecycleRoutes({ connectors }: Clients, rpc: Rpc, runnerEndpoints: RunnerEndpoints): readonly Route[] {
  const target = (verb: string, summary: string, targetState: TargetState, status: number): Route => ({
    method: 'PUT',
    path: `/connectors/{connector}/${verb}`,
    tag,
    summary,
    status,
    handle: async (request) => {
      await connectors.setTargetState({ ...named(request), targetState }, call(request));
      return { status };
    },
  });
  return [
    {
      method: 'GET',
      path: '/connectors/{connector}/status',
      tag,
      summary: 'What a connector and its tasks do now, and on which runner',
      query: {
        ledger: { description: 'also what became of the records that each task polled, where its runner answers', schema: yesOrNo },
      },
      status: 200,
      response: schemas.connectorStatus,
      handle: async (request) => {
        const json = connectorStatus((await connectors.getStatus(named(request), call(request))).status);
        if (!flag(request, 'ledger')) return { status: 200, json };
        const runners = json.tasks.map((task) => task.worker_id);
        const ledgers = await taskLedgers(rpc, runnerEndpoints, json.name, runners, request.signal);
        return { status: 200, json: { ...json, tasks: json.tasks.map((task) => ({ ...task, ledger: ledgers.get(task.id) ?? null })) } };
      },
    },
    {
      method: 'GET',
      path: '/connectors/{connector}/tasks',
      tag,
      summary: 'The tasks of a connector with their configurations; secrets are hidden',
      status: 200,
      response: schemas.list(schemas.object({ id: schemas.taskId, config: schemas.config })),
      handle: async (request) => {
        const { name } = named(request);
        const { tasks } = await connectors.listTasks({ name }, call(request));
        return { status: 200, json: tasks.map(({ id, config }) => ({ id: { connector: name, task: id?.task ?? 0 }, config })) };
      },
    },
    {
      method: 'GET',
      path: '/connectors/{connector}/tasks/{task}/status',
      tag,
      summary: 'What one task does now',
      status: 200,
      response: schemas.taskStatus,
      handle: async (request) => {
        const { name } = named(request);
        const number = taskNumber(request);
        const status = await connectors.getStatus({ name }, call(request)).then(
          (response) => response.status,
          (error) => {
            if (error.kind === 'notFound') throw noTask(name, number);
            throw error;
          },
        );
        const task = status?.tasks.find((candidate) => candidate.task === number);
        if (task === undefined) throw noTask(name, number);
        return { status: 200, json: taskStatus(task) };
      },
    },
    target('pause', 'Pause: tasks keep their place and do nothing', TargetState.PAUSED, 202),
    target('resume', 'Go on after pause or stop', TargetState.RUNNING, 202),
    target('stop', 'Stop: tasks are released, and offsets may be changed', TargetState.STOPPED, 204),
    {
      method: 'POST',
      path: '/connectors/{connector}/restart',
      tag,
      summary: 'Restart a connector; 202 with the status when tasks or failures were asked for, else 204',
      query: {
        includeTasks: { description: 'Restart its tasks too', schema: yesOrNo },
        onlyFailed: { description: 'Restart only what has FAILED', schema: yesOrNo },
      },
      status: 202,
      response: schemas.connectorStatus,
      handle: async (request) => {
        const [includeTasks, onlyFailed] = [flag(request, 'includeTasks'), flag(request, 'onlyFailed')];
        const { status } = await connectors.restart({ ...named(request), includeTasks, onlyFailed }, call(request));
        return includeTasks || onlyFailed ? { status: 202, json: connectorStatus(status) } : { status: 204 };
      },
    },
    {
      method: 'POST',
      path: '/connectors/{connector}/tasks/{task}/restart',
      tag,
      summary: 'Restart one task',
      status: 204,
      handle: async (request) => {
        await connectors.restartTask({ ...named(request), task: taskNumber(request) }, call(request));
        return { status: 204 };
      },
    },
  ];
}

function taskNumber({ params }: RestRequest): number {
  const text = params['task'] ?? '';
  if (!/^\d{1,9}$/.test(text)) throw notFound();
  return Number(text);
}

function noTask(name: string, task: number) {
  return problem(404, `No status found for task ${name}-${task}`);
}
