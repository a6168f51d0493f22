import type { Schema } from '../route.ts';

/** JSON Schemas of Kafka Connect's bodies, for the OpenAPI document. */
export const text: Schema = { type: 'string' };
export const integer: Schema = { type: 'integer' };
export const config: Schema = { type: 'object', additionalProperties: text, description: 'Settings of the connector, all as text.' };

export const taskId: Schema = object({ connector: text, task: integer });

export const connectorInfo: Schema = object({
  name: text,
  config,
  tasks: list(taskId),
  type: { type: 'string', enum: ['source', 'sink', 'unknown'] },
});

export const unitStatus: Schema = object({
  state: { type: 'string', enum: ['UNASSIGNED', 'STARTING', 'RUNNING', 'PAUSED', 'STOPPING', 'FAILED', 'RESTARTING', 'STOPPED'] },
  worker_id: text,
  version: { type: ['string', 'null'] },
});

export const taskStatus: Schema = { allOf: [unitStatus, object({ id: integer })] };

export const connectorStatus: Schema = object({ name: text, connector: unitStatus, tasks: list(taskStatus), type: text });

export const offsets: Schema = object({
  offsets: list(object({ partition: { type: 'object' }, offset: { type: ['object', 'null'] } })),
});

export const message: Schema = object({ message: text });

export const plugins: Schema = list(object({ class: text, type: text, version: text }));

export const configKeys: Schema = list({ type: 'object' });

export const validation: Schema = object({
  name: text,
  error_count: integer,
  groups: list(text),
  configs: list(object({ definition: { type: ['object', 'null'] }, value: { type: 'object' } })),
});

export const createRequest: Schema = {
  type: 'object',
  required: ['name', 'config'],
  additionalProperties: false,
  properties: { name: text, config, initial_state: { type: 'string', enum: ['RUNNING', 'PAUSED', 'STOPPED'] } },
};

export function object(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: 'object', required: Object.keys(properties), properties };
}

export function list(items: Schema): Schema {
  return { type: 'array', items };
}
