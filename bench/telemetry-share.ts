import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { OtlpReceiver } from '../test/support/otlp-receiver.ts';
import { waitFor } from '../test/support/standalone.ts';
import { copyThroughStandalone, linesToCopy } from './standalone-copy.ts';

/**
 * Which part of a copy's CPU time goes into metrics and into traces, by default settings with a collector: the CPU profiles of all threads, each sample
 * counted where its stack passes through their code. Pairs of runs (`tracing`, `pairs`) see all that they cost, but not a percent; this sees
 * fractions of one, but not what others pay: longer messages, garbage. `--lines 8000000`
 */
const { values } = parseArgs({ args: process.argv.slice(2), options: { lines: { type: 'string', default: '8000000' } } });

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
    readonly children?: readonly number[];
  }[];
  /** Microseconds on the monotonic clock. */
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

type Part = 'idle' | 'garbage' | 'metrics' | 'traces' | 'the rest';

/** The first that fits a frame, from the leaf of a stack up. */
const parts: readonly (readonly [Part, RegExp])[] = [
  ['traces', /\/libs\/(tracing|pipeline\/tracing)\/|span-replay|counted-spans|@opentelemetry\/(sdk-trace|exporter-trace|otlp)/],
  [
    'metrics',
    /\/libs\/telemetry\/metrics|\/pipeline\/(meters|task-counters)\.ts|host-stats|runner-metrics|unit-figures|meter-totals|ledger|sdk-metrics/,
  ],
];

const folder = mkdtempSync(join(tmpdir(), 'rmqc-bench-'));
const profiles = join(folder, 'profiles');
const receiver = new OtlpReceiver();
const endpoint = await receiver.start();
try {
  const { fromMicros, untilMicros } = await copyThroughStandalone({
    folder,
    source: linesToCopy(folder, Number(values.lines)),
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_METRIC_EXPORT_INTERVAL: '5000',
      NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiles}`,
    },
    warm: () => waitFor(() => receiver.spans.length > 0, 'spans are sent'),
  });
  const totals = new Map<Part, number>();
  for (const file of readdirSync(profiles))
    count(JSON.parse(readFileSync(join(profiles, file), 'utf8')) as Profile, fromMicros, untilMicros, totals);
  const busy = [...totals].reduce((sum, [part, micros]) => sum + (part === 'idle' ? 0 : micros), 0);
  process.stdout.write(`${(busy / 1e6).toFixed(2)} s of all threads, ${receiver.spans.length} spans sent\n`);
  for (const [part, micros] of totals) {
    if (part !== 'idle') process.stdout.write(`${part.padEnd(10)} ${((micros / busy) * 100).toFixed(2)} %\n`);
  }
} finally {
  await receiver.stop();
  rmSync(folder, { recursive: true, force: true });
}

function count(
  { nodes, startTime, samples, timeDeltas }: Profile,
  fromMicros: number,
  untilMicros: number,
  totals: Map<Part, number>,
): void {
  const partOf = new Map<number, Part>();
  const parentOf = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const find = (id: number): Part => {
    const { functionName, url } = frames.get(id) ?? { functionName: '', url: '' };
    if (functionName === '(idle)' || functionName === '(program)') return 'idle';
    if (functionName === '(garbage collector)') return 'garbage';
    const own = parts.find(([, pattern]) => pattern.test(url));
    if (own !== undefined) return own[0];
    const parent = parentOf.get(id);
    return parent === undefined ? 'the rest' : known(parent);
  };
  const known = (id: number): Part => {
    const part = partOf.get(id) ?? find(id);
    partOf.set(id, part);
    return part;
  };
  let atMicros = startTime;
  for (const [i, id] of samples.entries()) {
    const micros = timeDeltas[i] ?? 0;
    atMicros += micros;
    if (atMicros < fromMicros || atMicros > untilMicros) continue;
    const part = known(id);
    totals.set(part, (totals.get(part) ?? 0) + micros);
  }
}
