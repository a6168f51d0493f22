import { type Clients, PLUGIN_DEADLINE_MS } from '../clients.ts';
import { asObject, objectBody } from '../json-body.ts';
import { badField } from '../problem.ts';
import type { RestRequest, Route } from '../route.ts';
import { call, named } from './connectors.ts';
import * as schemas from './schemas.ts';

const tag = 'Offsets';
const path = '/connectors/{connector}/offsets';

/** Positions of a connector. */
export function offsetRoutes({ offsets }: Clients): readonly Route[] {
  const changing = (request: RestRequest) => ({ ...call(request), deadlineMs: PLUGIN_DEADLINE_MS });
  return [
    {
      method: 'GET',
      path,
      tag,
      summary: 'Committed positions',
      status: 200,
      response: schemas.offsets,
      handle: async (request) => {
        const { offsets: all } = await offsets.get(connector(request), call(request));
        // Texts of JSON, passed on as they are: integers beyond 2^53 would not survive parsing.
        const items = all.map(({ partitionJson, offsetJson }) => `{"partition":${partitionJson},"offset":${offsetJson || 'null'}}`);
        return { status: 200, text: `{"offsets":[${items.join(',')}]}` };
      },
    },
    {
      method: 'PATCH',
      path,
      tag,
      summary: 'Set positions of a STOPPED connector; a null offset removes one',
      body: schemas.offsets,
      status: 200,
      response: schemas.message,
      handle: async (request) => {
        const { message } = await offsets.alter({ ...connector(request), offsets: changes(request.body) }, changing(request));
        return { status: 200, json: { message } };
      },
    },
    {
      method: 'DELETE',
      path,
      tag,
      summary: 'Forget all positions of a STOPPED connector',
      status: 200,
      response: schemas.message,
      handle: async (request) => ({ status: 200, json: { message: (await offsets.reset(connector(request), changing(request))).message } }),
    },
  ];
}

function connector(request: RestRequest): { readonly connector: string } {
  return { connector: named(request).name };
}

function changes(body: unknown) {
  const { offsets } = objectBody(body, ['offsets']);
  if (!Array.isArray(offsets) || offsets.length === 0) {
    throw badField(
      'offsets',
      'Partitions / offsets need to be provided for an alter offsets request',
      'send {"offsets": [{partition, offset}]}',
    );
  }
  return offsets.map((item: unknown, index) => {
    const at = `offsets[${index}]`;
    const { partition, offset } = asObject(item, at);
    if (offset === undefined) throw badField(`${at}.offset`, `${at}.offset is missing`, 'send null to remove the position');
    return {
      partitionJson: JSON.stringify(asObject(partition, `${at}.partition`)),
      offsetJson: offset === null ? '' : JSON.stringify(asObject(offset, `${at}.offset`)),
    };
  });
}
