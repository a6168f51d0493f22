import { Type } from '@rocketmq-connect/sdk';

const ERRORS = 'Error Handling';

/** When a connector or task that failed starts again by itself. The runner reads them (restart-policy.ts): a change of them stops no task. */
export const RestartKeys = {
  'errors.restart': Type.Union([Type.Literal('retriable'), Type.Literal('all'), Type.Literal('none')], {
    default: 'retriable',
    title: 'Restart after failures',
    description:
      "After which failures the connector and its tasks restart by themselves. 'retriable': after those that may pass, such as an outside system that is away, or a thread that died; what needs a person stays FAILED. 'all': after every one. 'none': after none. The delay doubles from a second on, and begins anew after two minutes without a failure.",
    importance: 'medium',
    group: ERRORS,
    order: 9,
    width: 'short',
  }),
  'errors.restart.max': Type.Integer({
    minimum: -1,
    default: -1,
    title: 'Restarts max',
    description: 'Restarts in a row after which the connector or task stays FAILED; -1 for no limit.',
    importance: 'low',
    group: ERRORS,
    order: 10,
    width: 'short',
  }),
  'errors.restart.delay.max.ms': Type.Integer({
    minimum: 1,
    default: 60_000,
    configType: 'LONG',
    title: 'Maximum delay before a restart',
    description: 'The longest time in milliseconds before a restart.',
    importance: 'low',
    group: ERRORS,
    order: 11,
    width: 'medium',
  }),
};
