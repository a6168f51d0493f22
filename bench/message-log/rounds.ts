/** One way to move records, measured beside others. */
export interface Way {
  readonly name: string;
  /** Whether records of one queue come in the order in which they were sent. */
  readonly order: 'kept' | 'not kept';
  /** Requests on their way at the same time, over all queues. */
  readonly inFlight: number;
  /** What the others are compared with. */
  readonly isBare?: boolean;
  /** Moves records once. */
  readonly run: () => Promise<Work>;
}

/** Of the client alone: servers have processes of their own. */
export interface Work {
  readonly records: number;
  /** What the records take on the wire or in the file, without the heads of requests; 0 unknown. */
  readonly bytes: number;
  readonly ms: number;
  readonly cpuMs: number;
}

/**
 * Takes the ways in turn, so that other work on the machine strikes all of them, and prints the middle of the rounds. The first does not count.
 * A way that fails is left out from then on.
 */
export async function compare(title: string, ways: readonly Way[], rounds: number): Promise<void> {
  const all = ways.map((way) => ({ way, works: [] as Work[], failure: '' }));
  for (let round = 0; round <= rounds; round++) {
    for (const each of round % 2 === 0 ? all : all.toReversed()) {
      if (each.failure !== '') continue;
      try {
        const work = await each.way.run();
        if (round > 0) each.works.push(work);
      } catch (error) {
        each.failure = (error as Error).message;
      }
    }
  }
  for (const { way, failure } of all) if (failure !== '') process.stdout.write(`${way.name} failed: ${failure}\n`);
  const whole = all.filter(({ failure }) => failure === '');
  const rows = whole.map(({ way, works }) => ({
    way,
    rate: middle(works.map(({ records, ms }) => (records * 1_000) / ms)),
    cpuUs: middle(works.map(({ cpuMs, records }) => (cpuMs * 1_000) / records)),
    bytes: middle(works.map(({ bytes, records }) => bytes / records)),
  }));
  const bare = rows.find(({ way }) => way.isBare)?.rate;
  print([title, 'order', 'in flight', 'records/s', 'of bare', 'CPU µs a record', 'bytes a record']);
  for (const { way, rate, cpuUs, bytes } of rows) {
    const share = bare === undefined ? '' : `${Math.round((rate / bare) * 100)} %`;
    print([
      way.name,
      way.order,
      String(way.inFlight),
      Math.round(rate).toLocaleString('en'),
      share,
      cpuUs.toFixed(2),
      bytes > 0 ? bytes.toFixed(0) : '',
    ]);
  }
  process.stdout.write('\n');
}

/** Time and CPU time of this process. `work` returns what it moved. */
export async function measured(work: () => Promise<Pick<Work, 'records' | 'bytes'>>): Promise<Work> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const { records, bytes } = await work();
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return { records, bytes, ms, cpuMs: (user + system) / 1_000 };
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

function print(cells: readonly string[]): void {
  const widths = [44, 9, 10, 11, 8, 16, 15];
  process.stdout.write(
    `${cells
      .map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join(' ')
      .trimEnd()}\n`,
  );
}
