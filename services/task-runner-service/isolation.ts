import type { Home } from './host-pool.ts';

/** Where the code of a connector and its tasks runs: `tasks.isolation` of its configuration (ADR 0040). */
export function homeOf(connector: string, config: Readonly<Record<string, string>>): Home {
  const isolation = config['tasks.isolation']?.trim() ?? 'shared';
  if (isolation === 'thread' || isolation === 'process') return { kind: isolation, group: `connectors/${connector}` };
  return { kind: 'thread', group: '' };
}
