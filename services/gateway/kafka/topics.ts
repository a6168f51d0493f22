import type { Clients } from '../clients.ts';
import type { Route } from '../route.ts';
import { call, named } from './connectors.ts';
import * as schemas from './schemas.ts';

const tag = 'Topics';

/** The topics that a connector has used. */
export function topicRoutes({ connectors }: Clients): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/connectors/{connector}/topics',
      tag,
      summary: 'The topics that a connector has used since it was created, or since they were reset; the last 100 of each task',
      status: 200,
      response: { type: 'object', additionalProperties: schemas.object({ topics: schemas.list(schemas.text) }) },
      handle: async (request) => {
        const { name } = named(request);
        const { topics } = await connectors.activeTopics({ name }, call(request));
        return { status: 200, json: { [name]: { topics } } };
      },
    },
    {
      method: 'PUT',
      path: '/connectors/{connector}/topics/reset',
      tag,
      summary: 'Forget which topics a connector has used',
      status: 202,
      handle: async (request) => {
        await connectors.resetActiveTopics(named(request), call(request));
        return { status: 202 };
      },
    },
  ];
}
