import type { Route } from './route.ts';

const tag = 'Documentation';

/** The OpenAPI document and a page that shows it, from files of this machine only. Made when asked for, so idle gateways stay small. */
export function docsRoutes(routes: readonly Route[], version: string): readonly Route[] {
  const all: Route[] = [];
  const documented: readonly Route[] = [
    {
      method: 'GET',
      path: '/openapi.json',
      tag,
      summary: 'This API as an OpenAPI 3.1 document',
      status: 200,
      response: { type: 'object' },
      async handle() {
        const [{ openApi }, { messageSchemas }] = await Promise.all([import('./openapi.ts'), import('./v1/message-schema.ts')]);
        return { status: 200, json: openApi(all, version, messageSchemas()) };
      },
    },
  ];
  all.push(...routes, ...documented);
  return [...documented, ...pageRoutes()];
}

function pageRoutes(): readonly Route[] {
  const page = (path: string, mediaType: string, answer: () => { text: string } | { file: URL }): Route => ({
    method: 'GET',
    path,
    tag,
    summary: 'A part of the page',
    status: 200,
    mediaType,
    handle: async () => ({ status: 200, headers: { 'content-security-policy': PAGE_POLICY }, ...answer() }),
  });
  const asset = (name: string, mediaType: string) =>
    page(`/docs/${name}`, mediaType, () => ({ file: new URL(`static/${name}`, assets()) }));
  return [
    page('/docs', 'text/html; charset=utf-8', () => ({ text: PAGE })),
    page('/docs/start.js', 'text/javascript; charset=utf-8', () => ({ text: SCRIPT })),
    asset('swagger-ui.css', 'text/css; charset=utf-8'),
    asset('swagger-ui-bundle.js', 'text/javascript; charset=utf-8'),
  ];
}

/** Swagger UI's files as its Fastify package ships them; the package itself is not loaded. */
function assets(): string {
  return import.meta.resolve('@fastify/swagger-ui');
}

// Swagger UI sets styles inline and shows its icons from data: URLs.
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'";

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>RocketMQ Connect: REST API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<noscript>The API is described in <a href="/openapi.json">/openapi.json</a>.</noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

const SCRIPT = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#api', deepLinking: true, validatorUrl: null });\n`;
