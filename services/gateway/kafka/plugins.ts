import { type Clients, PLUGIN_DEADLINE_MS } from '../clients.ts';
import { configOf } from '../json-body.ts';
import type { RestRequest, Route } from '../route.ts';
import { call, flag } from './connectors.ts';
import * as schemas from './schemas.ts';
import { configKey, configValue, plugin } from './shapes.ts';

const tag = 'Plugins';

/** The catalogue of plugins, and validation of configurations. */
export function pluginRoutes({ plugins }: Clients): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/connector-plugins',
      tag,
      summary: 'Plugins that are installed on runners',
      query: {
        connectorsOnly: { description: 'false: also converters, transforms and predicates', schema: { type: 'boolean', default: true } },
      },
      status: 200,
      response: schemas.plugins,
      handle: async (request) => {
        const allKinds = request.query.has('connectorsOnly') && !flag(request, 'connectorsOnly');
        const { plugins: all } = await plugins.list({ allKinds }, call(request));
        return { status: 200, json: all.map(plugin) };
      },
    },
    {
      method: 'GET',
      path: '/connector-plugins/{plugin}/config',
      tag,
      summary: 'The configuration keys of a plugin',
      query: { version: { description: 'Default: the newest', schema: schemas.text } },
      status: 200,
      response: schemas.configKeys,
      handle: async (request) => {
        const version = request.query.get('version') ?? '';
        const { keys } = await plugins.describe({ plugin: pluginName(request), version }, asking(request));
        return { status: 200, json: keys.map(configKey) };
      },
    },
    {
      method: 'PUT',
      path: '/connector-plugins/{plugin}/config/validate',
      tag,
      summary: 'Check a configuration without changing anything; problems are in the answer',
      body: schemas.config,
      status: 200,
      response: schemas.validation,
      handle: async (request) => {
        const config = configOf(request.body, 'the body');
        const { name, errorCount, groups, values } = await plugins.validate({ plugin: pluginName(request), config }, asking(request));
        return { status: 200, json: { name, error_count: errorCount, groups, configs: values.map(configValue) } };
      },
    },
  ];
}

function pluginName({ params }: RestRequest): string {
  return params['plugin'] ?? '';
}

function asking(request: RestRequest) {
  return { ...call(request), deadlineMs: PLUGIN_DEADLINE_MS };
}
