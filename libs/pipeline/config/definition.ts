import { isSecretName, type TObject } from '@rocketmq-connect/sdk';
import type { ConfigKeyInfo } from '../host-protocol.ts';
import { configType, defaultText, type FieldSchema } from './values.ts';

/** The fields of a configuration schema by key, in its order. */
export function fieldsOf(schema: TObject): readonly (readonly [key: string, field: FieldSchema, required: boolean])[] {
  const required: readonly string[] = schema.required ?? [];
  return Object.entries(schema.properties).map(([key, property]) => {
    const declared = property as FieldSchema;
    // A plugin that forgot to say that its password is secret gets it hidden all the same.
    const field =
      declared.secret === undefined && declared.type === 'string' && isSecretName(key) ? { ...declared, secret: true } : declared;
    return [key, field, required.includes(key) && field.default === undefined] as const;
  });
}

/** A schema as the list of keys that Kafka Connect's clients and forms know. `prefix` comes before every key. */
export function configKeys(schema: TObject, prefix = '', group?: string): ConfigKeyInfo[] {
  const orders = new Map<string, number>();
  return fieldsOf(schema).map(([key, field, required], index) => {
    const ownGroup = group ?? field.group ?? '';
    const order = orders.get(ownGroup) ?? 0;
    orders.set(ownGroup, order + 1);
    return {
      name: prefix + key,
      type: configType(field),
      required,
      defaultValue: defaultText(field),
      importance: importanceOf(field, required),
      documentation: field.description ?? '',
      group: ownGroup,
      // Kafka Connect has -1 for keys outside of groups.
      orderInGroup: group !== undefined ? index : ownGroup === '' ? -1 : (field.order ?? order),
      width: (field.width?.toUpperCase() ?? 'NONE') as ConfigKeyInfo['width'],
      displayName: field.title ?? prefix + key,
      dependents: [],
      secret: field.secret === true,
    };
  });
}

function importanceOf(field: FieldSchema, required: boolean): ConfigKeyInfo['importance'] {
  if (field.importance !== undefined) return field.importance.toUpperCase() as ConfigKeyInfo['importance'];
  return required ? 'HIGH' : 'MEDIUM';
}
