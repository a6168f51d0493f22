import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { AnyMethod } from '@rocketmq-connect/mesh';
import type { Method } from '../route.ts';

/** What a `google.api.http` annotation says. */
export interface HttpRule {
  readonly method: Method;
  readonly path: string;
  /** The whole message comes as the body (`body: "*"`). */
  readonly hasBody: boolean;
}

/**
 * The annotation of a method, read from the option bytes that the generated definition carries, so that no descriptors need be loaded;
 * undefined for an internal method.
 */
export function httpRule(method: AnyMethod): HttpRule | undefined {
  const { options } = method as { options?: { _unknownFields?: Readonly<Record<number, readonly Uint8Array[]>> } };
  const bytes = options?._unknownFields?.[HTTP_OPTION_TAG]?.[0];
  if (bytes === undefined) return undefined;
  const reader = new BinaryReader(bytes);
  const end = reader.uint32() + reader.pos;
  let rule: { method: Method; path: string } | undefined;
  let body = '';
  while (reader.pos < end) {
    const [field, wireType] = reader.tag();
    const verb = verbs[field];
    if (verb !== undefined) rule = { method: verb, path: reader.string() };
    else if (field === BODY_FIELD) body = reader.string();
    else reader.skip(wireType);
  }
  return rule === undefined ? undefined : { ...rule, hasBody: body === '*' };
}

/** Field 72295728 of MethodOptions, length-delimited. */
const HTTP_OPTION_TAG = (72_295_728 << 3) | 2;
/** Fields of google.api.HttpRule. */
const verbs: Readonly<Record<number, Method>> = { 2: 'GET', 3: 'PUT', 4: 'POST', 5: 'DELETE', 6: 'PATCH' };
const BODY_FIELD = 7;
