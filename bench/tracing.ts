import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { OtlpReceiver } from '../test/support/otlp-receiver.ts';
import { waitFor } from '../test/support/standalone.ts';
import { copyThroughStandalone, linesToCopy } from './standalone-copy.ts';

/**
 * What tracing costs: CPU seconds per million records, file → topic → file through a whole standalone, without it and with each way of
 * sampling, when code is warm and the first spans are sent. The ways take turns, in another order each round, so that what else the machine does
 * hits all of them. `--lines 5000000 --rounds 9`; `--ways off,default` for some of them.
 */
const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    lines: { type: 'string', default: '5000000' },
    rounds: { type: 'string', default: '9' },
    ways: { type: 'string', default: 'off,default,1 %,every' },
  },
});
const lineCount = Number(values.lines);
const ways = {
  off: {},
  'default (a batch a second of each task)': { sampler: '' },
  '1 % of batches': { sampler: 'parentbased_traceidratio', argument: '0.01' },
  'every batch': { sampler: 'parentbased_always_on' },
} as const satisfies Readonly<Record<string, Way>>;

interface Way {
  readonly sampler?: string;
  readonly argument?: string;
}

const chosen = Object.entries<Way>(ways).filter(([name]) => values.ways.split(',').some((start) => name.startsWith(start)));
const folder = mkdtempSync(join(tmpdir(), 'rmqc-bench-'));
const receiver = new OtlpReceiver();
const endpoint = await receiver.start();
const seconds = new Map<string, number[]>(chosen.map(([name]) => [name, []]));
const spans = new Map<string, number>();
try {
  const source = linesToCopy(folder, lineCount);
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [name, way] of [...chosen.slice(round % chosen.length), ...chosen.slice(0, round % chosen.length)]) {
      receiver.spans.length = 0;
      const cpu = (await cpuSecondsOfCopy(source, way)) / (lineCount / 1e6);
      seconds.get(name)?.push(cpu);
      spans.set(name, receiver.spans.length);
      process.stdout.write(`${round + 1}  ${cpu.toFixed(2)} s  ${receiver.spans.length} spans  ${name}\n`);
    }
  }
} finally {
  await receiver.stop();
  rmSync(folder, { recursive: true, force: true });
}
const base = seconds.get('off') ?? [];
for (const [name, figures] of seconds) {
  const pairs = figures.map((figure, round) => (figure / (base[round] ?? Number.NaN) - 1) * 100);
  const against =
    name === 'off'
      ? ''
      : `  against off, by rounds: median ${percent(median(pairs))}, ${percent(Math.min(...pairs))} to ${percent(Math.max(...pairs))}`;
  const spread = `${Math.min(...figures).toFixed(2)} to ${Math.max(...figures).toFixed(2)}`;
  process.stdout.write(
    `${name.padEnd(44)} ${median(figures).toFixed(2)} CPU s per million (${spread})  ${spans.get(name)} spans${against}\n`,
  );
}

async function cpuSecondsOfCopy(source: string, { sampler, argument }: Way): Promise<number> {
  const env: Record<string, string> = {};
  // Sooner than by default, so that the warm-up is over soon.
  if (sampler !== undefined) Object.assign(env, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_BSP_SCHEDULE_DELAY: '1000' });
  if (sampler) env['OTEL_TRACES_SAMPLER'] = sampler;
  if (argument !== undefined) env['OTEL_TRACES_SAMPLER_ARG'] = argument;
  const warm = async (): Promise<void> => {
    if (sampler !== undefined) await waitFor(() => receiver.spans.length > 0, 'spans are sent');
  };
  return (await copyThroughStandalone({ folder, source, env, warm })).cpuSeconds;
}

function median(figures: readonly number[]): number {
  return [...figures].sort((a, b) => a - b)[figures.length >> 1] ?? Number.NaN;
}

function percent(value: number): string {
  return `${value >= 0 ? '+' : ''}${value.toFixed(1)} %`;
}
