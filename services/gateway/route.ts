import { notFound, problem } from './problem.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** A JSON Schema, as OpenAPI 3.1 takes it. */
export type Schema = Readonly<Record<string, unknown>>;

/** One operation of the REST API: what it does, and what the OpenAPI document says of it. */
export interface Route {
  readonly method: Method;
  /** E.g. `/connectors/{name}`; a last segment may end in a verb: `{name}:restart`. Parameters match one segment, decoded. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly query?: Readonly<Record<string, { readonly description: string; readonly schema: Schema }>>;
  /** Present when the route takes a JSON body. */
  readonly body?: Schema;
  /** Of the success; errors are the same everywhere. */
  readonly status: number;
  readonly response?: Schema;
  readonly mediaType?: string;
  /** It looks at `accept` itself. */
  readonly negotiates?: boolean;
  handle(request: RestRequest): Promise<Answer>;
}

export interface RestRequest {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Parsed JSON; undefined when nothing was sent. */
  readonly body: unknown;
  /** The header. */
  readonly accept?: string | undefined;
  /** E.g. `http://127.0.0.1:8083`, as the caller knows this gateway. */
  readonly origin: string;
  /** Aborted when the caller leaves or the gateway stops. */
  readonly signal: AbortSignal;
  readonly identity: string;
}

/** What is sent. `json` is a value, `text` is sent as it is, `lines` one by one as they come. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: the route's. */
  readonly mediaType?: string;
  readonly json?: unknown;
  readonly text?: string;
  readonly file?: URL;
  readonly lines?: AsyncIterable<string> | undefined;
}

export interface Match {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

/** Finds the route of a request; throws what Kafka Connect answers where there is none (404), or none of this method (405). */
export function router(routes: readonly Route[]): {
  match(method: string, path: string): Match;
  /** The methods of a path, as the Allow header lists them; throws 404 where there are none. */
  allowed(path: string): readonly string[];
} {
  const patterns = routes.map((route) => ({ route, ...compile(route.path) })).sort((a, b) => b.rank - a.rank);
  const matches = (path: string) => {
    const found = patterns.flatMap(({ route, pattern, names }) => {
      const groups = pattern.exec(path)?.slice(1);
      return groups === undefined ? [] : [{ route, names, groups }];
    });
    if (found.length === 0) throw notFound();
    return found;
  };
  const allowed = (path: string): readonly string[] => {
    const methods = new Set<string>(matches(path).map(({ route }) => route.method));
    return [...(methods.has('GET') ? ['HEAD'] : []), ...methods, 'OPTIONS'];
  };
  return {
    allowed,
    match(method, path) {
      const wanted = method === 'HEAD' ? 'GET' : method;
      const found = matches(path).find(({ route }) => route.method === wanted);
      if (found === undefined) throw problem(405, 'HTTP 405 Method Not Allowed', { headers: { allow: allowed(path).join(',') } });
      const values = found.groups.map((group) => decoded(group));
      return { route: found.route, params: Object.fromEntries(found.names.map((name, index) => [name, values[index] ?? ''])) };
    },
  };
}

/** Literal segments win over verbs, verbs over parameters. A trailing slash means nothing. */
function compile(template: string): { pattern: RegExp; names: readonly string[]; rank: number } {
  const names: string[] = [];
  let rank = 0;
  const segments = template.split('/').slice(1);
  const source = segments.map((segment) => {
    const parameter = /^\{(\w+)\}(:\w+)?$/.exec(segment);
    if (parameter === null) {
      rank += 4;
      return escaped(segment);
    }
    names.push(parameter[1] ?? '');
    rank += parameter[2] === undefined ? 1 : 2;
    return `([^/]+)${escaped(parameter[2] ?? '')}`;
  });
  return { pattern: new RegExp(`^/${source.join('/')}/?$`), names, rank };
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw problem(400, `'${segment}' in the path is not percent-encoded UTF-8`, { remedy: 'encode names as encodeURIComponent does' });
  }
}
