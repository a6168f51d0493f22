import type { JsonValue } from '@rocketmq-connect/sdk';

/** JSON with sorted keys and no blanks: equal values have equal texts, whoever wrote them. */
export function canonicalJson(value: JsonValue | undefined): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`;
  const object = value as Readonly<Record<string, JsonValue | undefined>>;
  const fields: string[] = [];
  for (const key of Object.keys(object).sort()) {
    if (object[key] !== undefined) fields.push(`${JSON.stringify(key)}:${canonicalJson(object[key])}`);
  }
  return `{${fields.join()}}`;
}

type JsonObject = Readonly<Record<string, JsonValue>>;

/** Whether two objects have the same content. Cheap where they differ in a scalar. */
export function sameJson(a: JsonObject, b: JsonObject): boolean {
  if (a === b) return true;
  let fields = 0;
  for (const key in a) {
    const [left, right] = [a[key], b[key]];
    if (left !== right) {
      if (typeof left !== 'object' || typeof right !== 'object') return false;
      if (canonicalJson(left) !== canonicalJson(right)) return false;
    }
    fields++;
  }
  for (const _ in b) fields--;
  return fields === 0;
}
