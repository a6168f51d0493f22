import type { Route, Schema } from './route.ts';
import type { RpcRoute } from './v1/routes.ts';

/** What turns an RPC's messages into JSON Schemas; see v1/message-schema.ts. */
export interface MessageSchemas {
  request(service: string, method: string): Schema;
  response(service: string, method: string): Schema;
  /** Schemas of the messages that were referred to, by name. */
  components(): Readonly<Record<string, Schema>>;
}

/** The OpenAPI 3.1 document of a table of routes. */
export function openApi(routes: readonly (Route | RpcRoute)[], version: string, messages: MessageSchemas): Schema {
  const paths: Record<string, Record<string, Schema>> = {};
  for (const route of routes) {
    paths[route.path] ??= {};
    Object.assign(paths[route.path] ?? {}, { [route.method.toLowerCase()]: operation(route, messages) });
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'RocketMQ Connect',
      version,
      description: "Kafka Connect's REST API, and every admin RPC under /v1 in proto3 JSON.",
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: { schemas: { Error: errorSchema, ...messages.components() } },
  };
}

function operation(route: Route | RpcRoute, messages: MessageSchemas): Schema {
  const rpc = 'rpc' in route ? route.rpc : undefined;
  const request = rpc === undefined ? route.body : messages.request(rpc.service, rpc.method);
  const response = rpc === undefined ? route.response : messages.response(rpc.service, rpc.method);
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const query = rpc === undefined ? declaredQuery(route) : route.body === undefined ? fieldsAsQuery(request, messages, inPath) : [];
  return {
    operationId: operationId(route),
    tags: [route.tag],
    summary: route.summary,
    parameters: [...inPath.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })), ...query],
    ...(route.body === undefined ? {} : { requestBody: { required: true, content: { 'application/json': { schema: request } } } }),
    responses: {
      [route.status]: {
        description: 'Done',
        ...(response === undefined ? {} : { content: { [route.mediaType ?? 'application/json']: { schema: response } } }),
      },
      default: { description: 'Refused or failed', content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } } },
    },
  };
}

function operationId({ method, path }: Route): string {
  return `${method.toLowerCase()}${path.replace(/[^\w]+/g, '_')}`.replace(/_$/, '');
}

function declaredQuery({ query = {} }: Route): readonly Schema[] {
  return Object.entries(query).map(([name, { description, schema }]) => ({ name, in: 'query', description, schema }));
}

/** Of a request without a body, what is not in the path goes into the query. */
function fieldsAsQuery(request: Schema | undefined, messages: MessageSchemas, inPath: readonly string[]): readonly Schema[] {
  const name = String(request?.['$ref'] ?? '').replace('#/components/schemas/', '');
  const properties = (messages.components()[name]?.['properties'] ?? {}) as Readonly<Record<string, Schema>>;
  return Object.entries(properties).flatMap(([field, schema]) => (inPath.includes(field) ? [] : [{ name: field, in: 'query', schema }]));
}

const errorSchema: Schema = {
  type: 'object',
  required: ['error_code', 'message'],
  properties: {
    error_code: { type: 'integer', description: 'The HTTP status' },
    message: { type: 'string' },
    field: { type: 'string', description: 'The configuration key, body field or header at fault' },
    remedy: { type: 'string', description: 'What to do about it' },
    fields: {
      type: 'array',
      description: 'All that is at fault, where it is more than one thing',
      items: { type: 'object', properties: { field: { type: 'string' }, message: { type: 'string' } } },
    },
  },
};
