import type { PlacementUnit } from './index.ts';

/**
 * What a connector's configuration says about where it runs: the keys `placement.*` (described and validated by
 * libs/pipeline/config/placement-keys.ts). What cannot be read is taken for not given, since scheduling must go on.
 */
export function placementWishes(
  config: Readonly<Record<string, string>>,
): Required<Pick<PlacementUnit, 'selector' | 'weight' | 'tasksPerRunnerMax'>> {
  const selector: Record<string, string> = {};
  for (const part of (config['placement.labels'] ?? '').split(',')) {
    const [label = '', ...value] = part.trim().split('=');
    if (label !== '' && value.length > 0) selector[label] = value.join('=');
  }
  return {
    selector,
    weight: positiveOr(config['placement.weight'], 1),
    tasksPerRunnerMax: positiveOr(config['placement.tasks.per.runner.max'], 0),
  };
}

function positiveOr(text: string | undefined, fallback: number): number {
  const number = Number(text?.trim() ?? '');
  return Number.isSafeInteger(number) && number > 0 ? number : fallback;
}
