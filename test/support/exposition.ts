/** One series with its value. */
interface ParsedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ParsedFamily {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly unit: string | undefined;
  readonly samples: readonly ParsedSample[];
}

/** What a scrape answered, read as strictly as the specifications of Prometheus' text format and of OpenMetrics are. Throws at the first fault. */
export function parseExposition(text: string, format: 'prometheus' | 'openmetrics'): ReadonlyMap<string, ParsedFamily> {
  check(text.endsWith('\n'), 'the text does not end in a line feed');
  const lines = text.slice(0, -1).split('\n');
  if (format === 'openmetrics') check(lines.pop() === '# EOF', 'the text does not end in # EOF');
  const families = new Map<string, ParsedFamily & { samples: ParsedSample[] }>();
  let current: (ParsedFamily & { samples: ParsedSample[]; unit: string | undefined }) | undefined;
  let help: { readonly name: string; readonly text: string } | undefined;
  for (const line of lines) {
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line) ?? [];
    if (keyword === 'HELP') help = { name, text: rest };
    else if (keyword === 'TYPE') {
      check(help?.name === name, `${name} has a type without help`);
      check(['counter', 'gauge', 'histogram'].includes(rest), `${name} is of type ${rest}`);
      check(!families.has(name), `${name} comes twice`);
      current = { name, type: rest as ParsedFamily['type'], help: help?.text ?? '', unit: undefined, samples: [] };
      families.set(name, current);
    } else if (keyword === 'UNIT') {
      check(format === 'openmetrics' && current?.name === name && name.endsWith(`_${rest}`), `${name} has unit ${rest}`);
      if (current !== undefined) current.unit = rest;
    } else {
      const sample = parseSample(line);
      check(current !== undefined && belongs(sample.name, current, format), `${sample.name} stands below ${current?.name}`);
      current?.samples.push(sample);
    }
  }
  for (const family of families.values()) checkFamily(family);
  return families;
}

/** The value of the one series with these labels. */
export function seriesValue(
  families: ReadonlyMap<string, ParsedFamily>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const found = [...families.values()]
    .flatMap(({ samples }) => samples)
    .filter((sample) => sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value));
  check(found.length <= 1, `${name} has ${found.length} series with ${JSON.stringify(labels)}`);
  return found[0]?.value;
}

function parseSample(line: string): ParsedSample {
  const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
  check(match !== null, `no sample: ${line}`);
  const [, name = '', inner = '', number = ''] = match ?? [];
  const value = number === '+Inf' ? Number.POSITIVE_INFINITY : Number(number);
  check(number !== '' && !Number.isNaN(value), `no number: ${line}`);
  const labels: Record<string, string> = {};
  let rest = inner;
  while (rest !== '') {
    const pair = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,(?=.)|$)/.exec(rest);
    check(pair !== null, `no labels: ${line}`);
    const [whole = '', label = '', escaped = ''] = pair ?? [];
    check(!(label in labels), `label ${label} comes twice: ${line}`);
    labels[label] = escaped.replace(/\\(["\\n])/g, (_, c: string) => (c === 'n' ? '\n' : c));
    rest = rest.slice(whole.length);
  }
  return { name, labels, value };
}

function belongs(sample: string, { name, type }: ParsedFamily, format: 'prometheus' | 'openmetrics'): boolean {
  if (type === 'histogram') return [`${name}_bucket`, `${name}_sum`, `${name}_count`].includes(sample);
  if (type === 'counter') return format === 'openmetrics' ? sample === `${name}_total` : sample === name && name.endsWith('_total');
  return sample === name;
}

function checkFamily({ name, type, samples }: ParsedFamily): void {
  check(samples.length > 0, `${name} has no series`);
  const keys = samples.map((sample) => `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`);
  check(new Set(keys).size === keys.length, `${name} has a series twice`);
  if (type === 'counter') for (const { value } of samples) check(value >= 0, `counter ${name} is ${value}`);
  if (type !== 'histogram') return;
  const groups = new Map<string, ParsedSample[]>();
  for (const sample of samples) {
    const { le: _le, ...labels } = sample.labels;
    const key = JSON.stringify(labels);
    groups.set(key, [...(groups.get(key) ?? []), sample]);
  }
  for (const group of groups.values()) checkHistogram(name, group);
}

function checkHistogram(name: string, group: readonly ParsedSample[]): void {
  const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
  const bounds = buckets.map(({ labels }) => (labels['le'] === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels['le'])));
  check(
    bounds.every((bound, i) => i === 0 || bound > (bounds[i - 1] ?? 0)),
    `bounds of ${name} do not rise`,
  );
  check(bounds.at(-1) === Number.POSITIVE_INFINITY, `${name} has no bucket +Inf`);
  check(
    buckets.every(({ value }, i) => i === 0 || value >= (buckets[i - 1]?.value ?? 0)),
    `buckets of ${name} fall`,
  );
  const count = group.find((sample) => sample.name === `${name}_count`)?.value;
  check(count === buckets.at(-1)?.value, `${name}_count is not its last bucket`);
  check(
    group.some((sample) => sample.name === `${name}_sum`),
    `${name} has no sum`,
  );
}

function check(condition: boolean, fault: string): void {
  if (!condition) throw new Error(fault);
}
