import { Type } from '@rocketmq-connect/sdk';

const PLACEMENT = 'Placement';

/** Where a connector may run. The scheduler reads them (libs/placement/wishes.ts); tasks do not, so a change of them stops no task that may stay. */
export const PlacementKeys = {
  'placement.labels': Type.Array(Type.String({ pattern: '^[^=\\s]+=\\S*$' }), {
    default: [],
    title: 'Labels of the task runner',
    description:
      'Labels, as label=value, that a task runner must have to run the connector and its tasks: all of them. Runners get theirs by the setting labels.',
    importance: 'low',
    group: PLACEMENT,
    order: 1,
    width: 'long',
  }),
  'placement.weight': Type.Integer({
    minimum: 1,
    maximum: 1000,
    default: 1,
    title: 'Weight of a task',
    description:
      'How heavy a task of the connector is against others: task runners are filled, and limited by their capacity, in sums of weights.',
    importance: 'low',
    group: PLACEMENT,
    order: 2,
    width: 'short',
  }),
  'placement.tasks.per.runner.max': Type.Integer({
    minimum: 0,
    maximum: 10_000,
    default: 0,
    title: 'Tasks per task runner max',
    description:
      'Tasks of the connector that one task runner may have at most; those beyond wait for another. The default, 0, sets no limit: tasks are spread as far as balance allows.',
    importance: 'low',
    group: PLACEMENT,
    order: 3,
    width: 'short',
  }),
};
