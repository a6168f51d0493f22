import { metrics } from '@rocketmq-connect/telemetry/metrics/catalogue';

/** Labels that Prometheus gives what it scrapes in Kubernetes. */
const SCRAPED = ['instance', 'job', 'namespace', 'pod', 'service'];
const FUNCTION_LABELS = /\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g;

/** What of a query the catalogue of metrics does not have, in words; [] where all is well. */
export function unknownInQuery(query: string): string[] {
  const found: string[] = [];
  const known = new Set(SCRAPED);
  for (const [, name = '', matchers = ''] of query.matchAll(/\b((?:rocketmq_connect|process)_\w+)(?:\{([^}]*)\})?/g)) {
    const labels = labelsOf(name);
    if (labels === undefined) found.push(`no metric ${name}`);
    for (const label of labels ?? []) known.add(label);
    for (const [, label = ''] of matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g))
      if (labels !== undefined && !labels.includes(label) && !SCRAPED.includes(label)) found.push(`${name} has no label ${label}`);
  }
  for (const [, list = ''] of query.matchAll(FUNCTION_LABELS))
    for (const label of list.split(',').map((each) => each.trim())) if (!known.has(label)) found.push(`nothing has a label ${label}`);
  return found;
}

function labelsOf(series: string): readonly string[] | undefined {
  const all: Readonly<Record<string, { readonly kind: string; readonly labels: readonly string[] }>> = metrics;
  const [, histogram, suffix] = /^(.*)_(bucket|sum|count)$/.exec(series) ?? [];
  const definition = all[series] ?? (histogram === undefined ? undefined : all[histogram]);
  if (definition === undefined) return undefined;
  if ((definition.kind === 'histogram') !== (all[series] === undefined)) return undefined;
  return suffix === 'bucket' && all[series] === undefined ? [...definition.labels, 'le'] : definition.labels;
}
