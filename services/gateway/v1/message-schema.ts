import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { registry } from '@rocketmq-connect/mesh/descriptor-files';
import type { MessageSchemas } from '../openapi.ts';
import type { Schema } from '../route.ts';

/** JSON Schemas of the messages of RPCs, as proto3 JSON writes them. */
export function messageSchemas(): MessageSchemas {
  const components: Record<string, Schema> = {};
  const refer = (message: DescMessage): Schema => {
    if (!(message.name in components)) {
      components[message.name] = {}; // A message may hold itself.
      const properties = Object.fromEntries(message.fields.map((field) => [field.jsonName, fieldSchema(field, refer)]));
      components[message.name] = { type: 'object', properties };
    }
    return { $ref: `#/components/schemas/${message.name}` };
  };
  const methodOf = (service: string, method: string) => {
    const found = registry.getService(service)?.methods.find(({ name }) => name === method);
    if (found === undefined) throw new Error(`no descriptor of ${service}/${method}`);
    return found;
  };
  return {
    request: (service, method) => refer(methodOf(service, method).input),
    response: (service, method) => refer(methodOf(service, method).output),
    components: () => components,
  };
}

function fieldSchema(field: DescField, refer: (message: DescMessage) => Schema): Schema {
  const value =
    field.message !== undefined
      ? refer(field.message)
      : field.enum !== undefined
        ? { type: 'string', enum: field.enum.values.map(({ name }) => name) }
        : scalarSchema(field.scalar);
  if (field.fieldKind === 'list') return { type: 'array', items: value };
  return field.fieldKind === 'map' ? { type: 'object', additionalProperties: value } : value;
}

function scalarSchema(type: ScalarType | undefined): Schema {
  switch (type) {
    case ScalarType.BOOL:
      return { type: 'boolean' };
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return { type: 'integer', format: 'int32' };
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { type: 'integer', minimum: 0 };
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return { type: 'number' };
    case ScalarType.BYTES:
      return { type: 'string', contentEncoding: 'base64' };
    case ScalarType.STRING:
      return { type: 'string' };
    default:
      return { type: 'string', format: 'int64', description: 'An integer of 64 bits as text' };
  }
}
