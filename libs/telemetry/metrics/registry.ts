import { metrics as catalogue, type MetricDefinition, type MetricName } from './catalogue.ts';
import { addHistogram, type Histogram, histogram, observe } from './histogram.ts';

type NameOf<K extends MetricDefinition['kind']> = { [N in MetricName]: (typeof catalogue)[N]['kind'] extends K ? N : never }[MetricName];

export type LabelsOf<N extends MetricName> = Readonly<Record<(typeof catalogue)[N]['labels'][number], string | number>>;

type ValueOf<N extends MetricName> = (typeof catalogue)[N]['kind'] extends 'histogram' ? Histogram : number;

/** Tells a value as it is now. Told twice with the same labels, values add up. */
export type Emit = <N extends MetricName>(name: N, labels: LabelsOf<N>, value: ValueOf<N>) => void;

/** What knows values by itself, and is asked when somebody looks. */
export type MetricSource = (emit: Emit) => void;

/** A metric with its values. */
export interface Family {
  readonly name: MetricName;
  readonly definition: MetricDefinition;
  readonly samples: readonly Sample[];
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number | Histogram;
}

interface Series extends Sample {
  value: number | Histogram;
}

/** Beyond so many series of one metric that counts here, new ones go together: a label that turns out endless must not fill the memory. */
const SERIES_MAX = 2_000;
const OTHER = 'other';

/** The metrics of a process: some are counted here, others are told by sources when they are collected. */
export class Metrics {
  readonly #series = new Map<MetricName, Map<string, Series>>();
  readonly #sources = new Set<MetricSource>();

  /** Adds to a counter. */
  add<N extends NameOf<'counter'>>(name: N, labels: LabelsOf<N>, amount = 1): void {
    const series = this.#seriesOf(name, labels, 0);
    series.value = (series.value as number) + amount;
  }

  observe<N extends NameOf<'histogram'>>(name: N, labels: LabelsOf<N>, value: number): void {
    const { buckets = [] }: MetricDefinition = catalogue[name];
    observe(this.#seriesOf(name, labels, null).value as Histogram, buckets, value);
  }

  /** Asks `source` at every collection, until the returned function is called. */
  from(source: MetricSource): () => void {
    this.#sources.add(source);
    return () => void this.#sources.delete(source);
  }

  /** Every metric that has values, in the order of the catalogue. */
  collect(): Family[] {
    const told = new Map<MetricName, Map<string, Series>>();
    for (const [name, series] of this.#series) {
      for (const [key, { labels, value }] of series) put(told, name, key, labels, value);
    }
    const emit: Emit = (name, labels, value) => {
      const texts = textsOf(name, labels);
      put(told, name, keyOf(texts), texts, value);
    };
    for (const source of this.#sources) source(emit);
    return (Object.keys(catalogue) as MetricName[]).flatMap((name) => {
      const series = told.get(name);
      return series === undefined ? [] : [{ name, definition: catalogue[name], samples: [...series.values()] }];
    });
  }

  #seriesOf<N extends MetricName>(name: N, labels: LabelsOf<N>, zero: 0 | null): Series {
    const all = this.#series.get(name) ?? new Map<string, Series>();
    this.#series.set(name, all);
    let texts = textsOf(name, labels);
    let key = keyOf(texts);
    if (!all.has(key) && all.size >= SERIES_MAX) {
      texts = Object.fromEntries(Object.keys(texts).map((label) => [label, OTHER]));
      key = keyOf(texts);
    }
    let series = all.get(key);
    if (series === undefined) {
      const { buckets = [] }: MetricDefinition = catalogue[name];
      series = { labels: texts, value: zero ?? histogram(buckets) };
      all.set(key, series);
    }
    return series;
  }
}

function put(
  into: Map<MetricName, Map<string, Series>>,
  name: MetricName,
  key: string,
  labels: Sample['labels'],
  value: number | Histogram,
): void {
  const all = into.get(name) ?? new Map<string, Series>();
  into.set(name, all);
  const present = all.get(key);
  if (present === undefined) all.set(key, { labels, value: typeof value === 'number' ? value : value.slice() });
  else if (typeof value === 'number') present.value = (present.value as number) + value;
  else addHistogram(present.value as Histogram, value);
}

function textsOf<N extends MetricName>(name: N, labels: LabelsOf<N>): Record<string, string> {
  const given = labels as Readonly<Record<string, string | number>>;
  return Object.fromEntries(catalogue[name].labels.map((label) => [label, String(given[label])]));
}

function keyOf(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.values(labels));
}
