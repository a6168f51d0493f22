import type { PlacementRunner, PlacementUnit } from './index.ts';

/** What keeps a runner from running a unit. */
export type Obstacle =
  | { readonly kind: 'draining' }
  | { readonly kind: 'label'; readonly label: string; readonly wanted: string; readonly found: string | undefined }
  | { readonly kind: 'plugin'; readonly plugin: string }
  | { readonly kind: 'version'; readonly plugin: string; readonly wanted: string; readonly found: readonly string[] }
  /** Its capacity is used up by what is placed there. */
  | { readonly kind: 'full'; readonly capacity: number; readonly load: number }
  /** It has as many tasks of this connector as the connector allows. */
  | { readonly kind: 'siblings'; readonly max: number };

/** Why a runner may not run a unit at all, whatever else it runs; null if it may. */
export function obstacleOf(unit: PlacementUnit, runner: PlacementRunner): Obstacle | null {
  if (runner.draining) return { kind: 'draining' };
  for (const [label, wanted] of Object.entries(unit.selector ?? {})) {
    if (runner.labels[label] !== wanted) return { kind: 'label', label, wanted, found: runner.labels[label] };
  }
  const { plugin } = unit;
  const found = runner.plugins.filter(({ name, aliases }) => name === plugin || aliases.includes(plugin)).map(({ version }) => version);
  if (found.length === 0) return { kind: 'plugin', plugin };
  if (unit.pluginVersion === '' || found.includes(unit.pluginVersion)) return null;
  return { kind: 'version', plugin, wanted: unit.pluginVersion, found };
}
