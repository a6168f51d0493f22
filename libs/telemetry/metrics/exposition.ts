import type { Histogram } from './histogram.ts';
import type { Family, Sample } from './registry.ts';

export type ExpositionFormat = 'prometheus' | 'openmetrics';

export const contentTypes: Readonly<Record<ExpositionFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** What a scraper takes: OpenMetrics where it says so, else what all of them read. */
export function formatFor(accept: string | undefined): ExpositionFormat {
  return /application\/openmetrics-text/i.test(accept ?? '') ? 'openmetrics' : 'prometheus';
}

/** The text that scrapers read (https://prometheus.io/docs/instrumenting/exposition_formats, https://prometheus.io/docs/specs/om/open_metrics_spec). */
export function exposition(families: readonly Family[], format: ExpositionFormat): string {
  const lines: string[] = [];
  for (const { name, definition, samples } of families) {
    const { kind, unit, help, buckets = [] } = definition;
    // OpenMetrics names the family without what only a counter's samples have.
    const family = format === 'openmetrics' && kind === 'counter' ? name.replace(/_total$/, '') : name;
    lines.push(`# HELP ${family} ${escapedHelp(help)}`, `# TYPE ${family} ${kind}`);
    if (format === 'openmetrics' && unit !== '') lines.push(`# UNIT ${family} ${unit}`);
    for (const { labels, value } of samples) {
      if (typeof value === 'number') lines.push(`${name}${labelText(labels)} ${numberText(value)}`);
      else pushHistogram(lines, name, labels, value, buckets);
    }
  }
  if (format === 'openmetrics') lines.push('# EOF');
  return `${lines.join('\n')}\n`;
}

function pushHistogram(lines: string[], name: string, labels: Sample['labels'], value: Histogram, bounds: readonly number[]): void {
  let count = 0;
  for (const [index, le] of [...bounds.map(boundText), '+Inf'].entries()) {
    count += value[index] ?? 0;
    lines.push(`${name}_bucket${labelText({ ...labels, le })} ${numberText(count)}`);
  }
  const suffix = labelText(labels);
  lines.push(`${name}_sum${suffix} ${numberText(value[bounds.length + 1] ?? 0)}`, `${name}_count${suffix} ${numberText(count)}`);
}

/** OpenMetrics wants bounds as floats. */
function boundText(bound: number): string {
  return Number.isInteger(bound) ? `${bound}.0` : String(bound);
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapedLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapedLabel(text: string): string {
  return text.toWellFormed().replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

function escapedHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}
