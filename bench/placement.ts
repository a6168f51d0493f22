import { type PlacementRunner, type PlacementUnit, place } from '@rocketmq-connect/placement';

/** 10,000 units × 100 runners: from nothing, in balance, after a loss, and after runners were added. The goal is ≤ 100 ms for each. */
function benchPlacement(): void {
  const plugin = { name: 'FileStreamSource', version: '1.0.0', aliases: [] };
  const runners = Array.from({ length: 110 }, (_, i): PlacementRunner => {
    return { id: `runner-${i}`, zone: `zone-${i % 3}`, labels: { half: String(i % 2) }, capacity: 0, draining: false, plugins: [plugin] };
  });
  const unitsOf = (selector: (i: number) => Record<string, string>): PlacementUnit[] =>
    Array.from({ length: 2_000 }, (_, i) => i).flatMap((i) =>
      Array.from({ length: 5 }, (_, task): PlacementUnit => {
        const base = { connector: `connector-${i}`, weight: 1, plugin: plugin.name, pluginVersion: '', selector: selector(i) };
        return task === 0
          ? { ...base, id: `connectors/connector-${i}`, kind: 'connector' }
          : { ...base, id: `tasks/connector-${i}/${task - 1}`, kind: 'task' };
      }),
    );
  const time = (label: string, run: () => ReadonlyMap<string, string>): ReadonlyMap<string, string> => {
    let result = run(); // Warms up.
    const started = process.cpuUsage();
    for (let i = 0; i < 5; i++) result = run();
    // CPU time, so that a busy machine does not count.
    process.stdout.write(`placement ${label}: ${(process.cpuUsage(started).user / 5_000).toFixed(1)} ms\n`);
    return result;
  };
  const none = new Map<string, string>();
  const hundred = runners.slice(0, 100);
  const given = { runners: hundred, missing: new Set<string>(), previous: none, owners: none };
  const units = unitsOf(() => ({}));
  const placed = time('from nothing', () => place({ ...given, units }));
  time('in balance', () => place({ ...given, units, previous: placed, owners: placed }));
  time('one runner lost', () => place({ ...given, units, runners: hundred.slice(1), previous: placed, owners: placed }));
  time('ten runners added', () => place({ ...given, units, runners, previous: placed, owners: placed }));
  const crowded = new Map([...placed].map(([unit], i) => [unit, `runner-${i % 10}`]));
  time('all on ten runners', () => place({ ...given, units, previous: crowded, owners: crowded }));
  const picky = unitsOf((i) => (i % 4 === 0 ? {} : { half: String(i % 8 === 1 ? 0 : 1) }));
  time('labels, from nothing', () => place({ ...given, units: picky }));
  const pickyPlaced = place({ ...given, units: picky });
  time('labels, ten runners added', () => place({ ...given, runners, units: picky, previous: pickyPlaced, owners: pickyPlaced }));
}

benchPlacement();
