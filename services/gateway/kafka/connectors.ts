import { TargetState } from '@rocketmq-connect/proto/common';
import { type Clients, PLUGIN_DEADLINE_MS } from '../clients.ts';
import { asObject, configOf, configValue, objectBody, setOwn } from '../json-body.ts';
import { badField } from '../problem.ts';
import type { Answer, RestRequest, Route } from '../route.ts';
import * as schemas from './schemas.ts';
import { connectorInfo, connectorStatus } from './shapes.ts';

const tag = 'Connectors';

/** Creating, reading, changing and deleting connectors. */
export function connectorRoutes({ connectors }: Clients): readonly Route[] {
  const changing = (request: RestRequest) => ({ ...call(request), deadlineMs: PLUGIN_DEADLINE_MS });
  return [
    {
      method: 'GET',
      path: '/connectors',
      tag,
      summary: 'Names of all connectors; with expand, also their info and status by name',
      query: { expand: { description: 'info, status, or both by repeating it', schema: { type: 'string', enum: ['info', 'status'] } } },
      status: 200,
      response: { anyOf: [schemas.list(schemas.text), { type: 'object' }] },
      handle: (request) => list(request, connectors),
    },
    {
      method: 'POST',
      path: '/connectors',
      tag,
      summary: 'Create a connector',
      body: schemas.createRequest,
      status: 201,
      response: schemas.connectorInfo,
      handle: async (request) => {
        const { name, config, initial_state } = objectBody(request.body, ['name', 'config', 'initial_state']);
        if (typeof name !== 'string') throw badField('name', name === undefined ? 'name is missing' : 'name must be a string');
        const { connector } = await connectors.create(
          { name: name.trim(), config: configOf(config, 'config'), initialState: initialState(initial_state) },
          changing(request),
        );
        return created(request, connectorInfo(connector));
      },
    },
    {
      method: 'GET',
      path: '/connectors/{connector}',
      tag,
      summary: 'A connector: its configuration and tasks',
      status: 200,
      response: schemas.connectorInfo,
      handle: async (request) => ({ status: 200, json: connectorInfo((await connectors.get(named(request), call(request))).connector) }),
    },
    {
      method: 'GET',
      path: '/connectors/{connector}/config',
      tag,
      summary: 'The configuration of a connector; secrets are hidden',
      status: 200,
      response: schemas.config,
      handle: async (request) => ({
        status: 200,
        json: connectorInfo((await connectors.get(named(request), call(request))).connector).config,
      }),
    },
    {
      method: 'PUT',
      path: '/connectors/{connector}/config',
      tag,
      summary: 'Replace the configuration of a connector, or create the connector',
      body: schemas.config,
      status: 200,
      response: schemas.connectorInfo,
      handle: async (request) => {
        const config = configOf(request.body, 'the body');
        const { connector, created: isNew } = await connectors.update(
          { ...named(request), config, expectedConfigRevision: 0n },
          changing(request),
        );
        const info = connectorInfo(connector);
        return isNew ? created(request, info) : { status: 200, json: info };
      },
    },
    {
      method: 'PATCH',
      path: '/connectors/{connector}/config',
      tag,
      summary: 'Change single keys of a configuration; null removes a key',
      body: { type: 'object', additionalProperties: { type: ['string', 'null'] } },
      status: 200,
      response: schemas.connectorInfo,
      handle: async (request) => {
        const set: Record<string, string> = {};
        const remove: string[] = [];
        for (const [key, value] of Object.entries(asObject(request.body, 'the body'))) {
          const text = configValue(value, key);
          if (text === null) remove.push(key);
          else setOwn(set, key, text);
        }
        const { connector } = await connectors.patch({ ...named(request), set, remove, expectedConfigRevision: 0n }, changing(request));
        return { status: 200, json: connectorInfo(connector) };
      },
    },
    {
      method: 'DELETE',
      path: '/connectors/{connector}',
      tag,
      summary: 'Delete a connector',
      query: {
        resetOffsets: {
          description: 'Forget its positions instead of keeping them for a connector of the same name and class',
          schema: { type: 'boolean' },
        },
      },
      status: 204,
      handle: async (request) => {
        await connectors.delete({ ...named(request), resetOffsets: flag(request, 'resetOffsets') }, call(request));
        return { status: 204 };
      },
    },
  ];
}

/** The name in the path, as our messages carry it. */
export function named({ params }: RestRequest): { readonly name: string } {
  return { name: params['connector'] ?? '' };
}

export function call({ signal, identity }: RestRequest) {
  return { signal, identity };
}

/** A query parameter that is true or false; false when absent. */
export function flag({ query }: RestRequest, name: string): boolean {
  const value = query.get(name)?.toLowerCase() ?? 'false';
  if (value === 'true' || value === '') return true;
  if (value === 'false') return false;
  throw badField(name, `${name} must be true or false, not '${value}'`);
}

async function list(request: RestRequest, connectors: Clients['connectors']): Promise<Answer> {
  const expand = request.query.getAll('expand').flatMap((value) => value.split(','));
  const withStatus = expand.includes('status');
  const { connectors: all, statuses } = await connectors.list({ withStatus }, call(request));
  if (expand.length === 0) return { status: 200, json: all.map(({ name }) => name) };
  const entries = all.map((connector) => {
    const status = statuses[connector.name];
    const info = expand.includes('info') ? { info: connectorInfo(connector) } : {};
    return [connector.name, { ...info, ...(withStatus && status !== undefined ? { status: connectorStatus(status) } : {}) }] as const;
  });
  return { status: 200, json: Object.fromEntries(entries) };
}

function created({ origin }: RestRequest, info: ReturnType<typeof connectorInfo>): Answer {
  return { status: 201, headers: { location: `${origin}/connectors/${encodeURIComponent(info.name)}` }, json: info };
}

function initialState(value: unknown): TargetState {
  if (value === undefined || value === null) return TargetState.RUNNING;
  const state = typeof value === 'string' ? value.toUpperCase() : '';
  if (state === 'RUNNING' || state === 'PAUSED' || state === 'STOPPED') return TargetState[state];
  throw badField('initial_state', `initial_state must be RUNNING, PAUSED or STOPPED, not ${JSON.stringify(value)}`);
}
