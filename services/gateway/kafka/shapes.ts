import { ConnectorType } from '@rocketmq-connect/proto/common';
import type { Connector, ConnectorStatus, TaskStatus, UnitStatus } from '@rocketmq-connect/proto/connector';
import { type ConfigKey, type ConfigValue, type Plugin, PluginKind } from '@rocketmq-connect/proto/plugin';

/** Our messages as Kafka Connect's REST bodies. */
export function connectorInfo(connector: Connector | undefined) {
  const { name = '', config = {}, tasks = [], type = ConnectorType.UNSPECIFIED } = connector ?? {};
  return { name, config: { ...config, name }, tasks: tasks.map((task) => ({ connector: name, task })), type: typeName(type) };
}

export function connectorStatus(status: ConnectorStatus | undefined) {
  return {
    name: status?.name ?? '',
    connector: unitStatus(status?.connector),
    tasks: (status?.tasks ?? []).map(taskStatus),
    type: typeName(status?.type ?? ConnectorType.UNSPECIFIED),
  };
}

export function taskStatus({ task, status }: TaskStatus) {
  return { id: task, ...unitStatus(status) };
}

function unitStatus(status: UnitStatus | undefined) {
  const { state = 'UNIT_STATE_UNASSIGNED', runner = '', version = '', error = '' } = status ?? {};
  return {
    state: state.replace('UNIT_STATE_', ''),
    worker_id: runner,
    version: version === '' ? null : version,
    ...(error === '' ? {} : { trace: error }),
  };
}

function typeName(type: ConnectorType): string {
  return type === ConnectorType.SINK ? 'sink' : type === ConnectorType.SOURCE ? 'source' : 'unknown';
}

export function plugin({ class: className, name, kind, version }: Plugin) {
  return { class: className === '' ? name : className, type: kindNames[kind], version };
}

const kindNames: Readonly<Record<PluginKind, string>> = {
  [PluginKind.UNSPECIFIED]: 'unknown',
  [PluginKind.SOURCE]: 'source',
  [PluginKind.SINK]: 'sink',
  [PluginKind.CONVERTER]: 'converter',
  [PluginKind.TRANSFORM]: 'transformation',
  [PluginKind.PREDICATE]: 'predicate',
  [PluginKind.UNRECOGNIZED]: 'unknown',
};

export function configKey(key: ConfigKey) {
  return {
    name: key.name,
    type: key.type,
    required: key.required,
    default_value: key.defaultValue ?? null,
    importance: key.importance,
    documentation: key.documentation,
    group: key.group === '' ? null : key.group,
    order_in_group: key.group === '' ? -1 : key.orderInGroup,
    width: key.width === '' ? 'NONE' : key.width,
    display_name: key.displayName,
    dependents: key.dependents,
  };
}

export function configValue(value: ConfigValue) {
  return {
    definition: value.definition === undefined ? null : configKey(value.definition),
    value: {
      name: value.name,
      value: value.value ?? null,
      recommended_values: value.recommendedValues,
      errors: value.errors,
      visible: value.visible,
    },
  };
}
