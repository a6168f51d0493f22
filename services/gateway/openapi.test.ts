import assert from 'node:assert/strict';
import { gatewayBefore } from '../../test/support/gateway.ts';

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly required?: boolean; readonly schema: object }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> };
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
}

interface Document {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation & { readonly tags: readonly string[] }>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

describe('the OpenAPI document', () => {
  let gateway: Awaited<ReturnType<typeof gatewayBefore>>;
  let document: Document;
  before(async () => {
    gateway = await gatewayBefore([]);
    document = (await gateway.request('GET', '/openapi.json')).json as Document;
  });
  after(() => gateway.close());

  it('is of version 3.1 and names the API', () => {
    assert.equal(document.openapi, '3.1.0');
    assert.deepEqual([document.info.title, document.info.version], ['RocketMQ Connect', '0.1.0']);
  });

  it('has every route, but for the parts of the page, and nothing else', () => {
    const documented = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const served = gateway.routes.map(({ method, path }) => `${method} ${path}`).filter((route) => !route.startsWith('GET /docs'));
    assert.deepEqual(documented.sort(), served.sort());
  });

  it('declares each parameter of a path, gives each operation an id of its own, a known tag and an answer', () => {
    const ids = new Set<string>();
    const tags = document.tags.map(({ name }) => name);
    for (const [path, item] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        const at = `${method} ${path}`;
        const inPath = operation.parameters.filter((parameter) => parameter.in === 'path');
        assert.deepEqual(
          inPath.map(({ name }) => `{${name}}`),
          path.match(/\{\w+\}/g) ?? [],
          at,
        );
        assert.ok(
          inPath.every(({ required }) => required === true),
          at,
        );
        const names = operation.parameters.map((parameter) => `${parameter.in}:${parameter.name}`);
        assert.equal(new Set(names).size, names.length, at);
        assert.equal(ids.has(operation.operationId), false, operation.operationId);
        ids.add(operation.operationId);
        assert.ok(
          operation.tags.every((tag) => tags.includes(tag)),
          at,
        );
        assert.ok(Object.keys(operation.responses).some((status) => /^2\d\d$/.test(status)) && 'default' in operation.responses, at);
        assert.equal(operation.requestBody !== undefined, ['post', 'put', 'patch'].includes(method) && takesBody(path, method), at);
      }
    }
  });

  it('refers to schemas that are there', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(([, name = '']) => name);
    assert.ok(references.length > 20);
    for (const name of references) assert.ok(Object.keys(document.components.schemas[name] ?? {}).length > 0, name);
  });

  it('describes messages as proto3 JSON writes them', () => {
    const { Connector } = document.components.schemas as { Connector: { properties: Record<string, Record<string, unknown>> } };
    assert.equal(Connector.properties['configRevision']?.['type'], 'string');
    assert.deepEqual(Connector.properties['config'], { type: 'object', additionalProperties: { type: 'string' } });
    assert.ok((Connector.properties['targetState']?.['enum'] as string[] | undefined)?.includes('TARGET_STATE_PAUSED'));
    const list = document.paths['/v1/connectors']?.['get'];
    assert.deepEqual(
      list?.parameters.map(({ name }) => name),
      ['withStatus'],
    );
  });

  it('is shown by a page whose parts come from this machine', async () => {
    const page = await gateway.request('GET', '/docs', { headers: { accept: 'text/html' } });
    assert.equal(page.status, 200);
    assert.doesNotMatch(page.text, /https?:/);
    const parts = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = '']) => path);
    assert.ok(parts.includes('/docs/swagger-ui-bundle.js'));
    for (const part of parts) {
      const reply = await gateway.request('GET', part);
      assert.equal(reply.status, 200, part);
      assert.ok(reply.text.length > 50, part);
      assert.match(String(reply.headers['content-type']), /^(text\/(css|javascript); charset=utf-8|application\/json)$/);
    }
    assert.match(String(page.headers['content-security-policy']), /script-src 'self';/);
  });
});

/** The verbs of Kafka Connect's API that carry no body. */
function takesBody(path: string, method: string): boolean {
  return path.startsWith('/v1/') || !(/\/(pause|resume|stop|restart|reset)$/.test(path) && method !== 'patch');
}
