import { type JsonValue, type SourceDefinition, type SourceOffset, type SourcePartition, toPlainError } from '@rocketmq-connect/sdk';
import { hideSecretsInError } from '../config/secrets.ts';
import { describePlugin, validateConnector } from '../config/validation.ts';
import type { HostAnswer, HostQuestion } from '../host-protocol.ts';
import type { Host } from './host.ts';
import { planTasks } from './plan.ts';
import { checkQueues } from './queue-check.ts';
import { resolveConnector } from './task-body.ts';

/** Answers a question to plugin code, with its result or its error. */
export async function answer(host: Host, id: number, question: HostQuestion, signal: AbortSignal): Promise<void> {
  try {
    host.post({ type: 'answer', id, result: await answerTo(host, question, signal) });
  } catch (error) {
    host.post({ type: 'answer', id, result: null, error: toPlainError(error) });
  }
}

async function answerTo(host: Host, question: HostQuestion, signal: AbortSignal): Promise<HostAnswer> {
  const { catalogue, references } = host;
  switch (question.ask) {
    case 'catalogue':
      return { ask: 'catalogue', plugins: catalogue.info(), broken: catalogue.broken };
    case 'describe':
      return { ask: 'describe', ...describePlugin(catalogue, question.plugin, question.version || undefined) };
    case 'validate': {
      const validation = validateConnector(catalogue, question.plugin, question.config, references, host.log.capabilities);
      for (const key of validation.secretKeys) host.secrets.add(question.config[key] ?? '');
      return { ask: 'validate', validation };
    }
    case 'plan':
      return { ask: 'plan', tasks: await planTasks(host, question.connectorConfig, question.positions, signal) };
    case 'alterOffsets':
      await alterOffsets(host, question);
      return { ask: 'alterOffsets' };
  }
}

/** A source may refuse. Of a sink the queues must be there: its positions are none of its business. */
async function alterOffsets(host: Host, question: Extract<HostQuestion, { ask: 'alterOffsets' }>): Promise<void> {
  const connector = resolveConnector(host, question.connectorConfig);
  if (connector.definition.kind === 'sink') return checkQueues(host.log, question.offsets);
  const definition: SourceDefinition = connector.definition;
  const offsets = question.offsets.map(({ partition, offset }) => ({
    partition: JSON.parse(partition) as SourcePartition,
    offset: offset === null ? null : (JSON.parse(offset) as SourceOffset & JsonValue),
  }));
  try {
    await definition.alterOffsets?.(connector.config, offsets);
  } catch (error) {
    throw hideSecretsInError(error, connector.secrets);
  }
}
