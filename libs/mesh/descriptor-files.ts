import { readFileSync } from 'node:fs';
import { createFileRegistry, type DescFile, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

// Of `buf build`, so well-known types are within. ts-proto's own descriptors drop explicit zeros, which grpcurl refuses.
const bytes = readFileSync(new URL(import.meta.resolve('@rocketmq-connect/proto/descriptors')));

/** Every message and service of this project's protos, and what they import. */
export const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));

/** A file and all it imports, serialized; empty if there is no such file. */
export function fileOf(name: string): readonly Uint8Array[] {
  return withImports(registry.getFile(name));
}

/** The file that declares a message, enum, service, method, field or enum value. */
export function fileWithSymbol(symbol: string): readonly Uint8Array[] {
  const parent = symbol.slice(0, Math.max(0, symbol.lastIndexOf('.')));
  return withImports((registry.get(symbol) ?? registry.get(parent))?.file);
}

export function fileWithExtension(message: string, number: number): readonly Uint8Array[] {
  const descriptor = registry.getMessage(message);
  return descriptor === undefined ? [] : withImports(registry.getExtensionFor(descriptor, number)?.file);
}

export function extensionsOf(message: string): readonly number[] {
  return [...registry].flatMap((type) => (type.kind === 'extension' && type.extendee.typeName === message ? [type.number] : []));
}

function withImports(file: DescFile | undefined, seen = new Set<string>()): readonly Uint8Array[] {
  if (file === undefined || seen.has(file.name)) return [];
  seen.add(file.name);
  return [toBinary(FileDescriptorProtoSchema, file.proto), ...file.dependencies.flatMap((dependency) => withImports(dependency, seen))];
}
