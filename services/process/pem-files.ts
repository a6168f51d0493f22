import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Settings } from '@rocketmq-connect/configuration';
import type { MeshTls } from '@rocketmq-connect/mesh/grpc';
import { ConfigError } from '@rocketmq-connect/sdk';

/** The files of mutual TLS in the mesh; undefined when none is named. Throws `ConfigError` when only some are, or one cannot be read. */
export function meshTls({ meshTls: { caFile, certFile, keyFile, serverName } }: Settings, baseDirectory: string): MeshTls | undefined {
  const files = { caFile, certFile, keyFile };
  if (Object.values(files).every((path) => path === '')) return undefined;
  const missing = Object.entries(files).find(([, path]) => path === '')?.[0];
  if (missing !== undefined) {
    throw new ConfigError(`meshTls.${missing} is missing: in the mesh both sides show a certificate`, {
      field: `meshTls.${missing}`,
      remedy: 'give all three of --mesh-tls-ca-file, --mesh-tls-cert-file and --mesh-tls-key-file, or none',
    });
  }
  const read = (name: keyof typeof files): Buffer => readPem(`meshTls.${name}`, files[name], baseDirectory);
  return { ca: read('caFile'), cert: read('certFile'), key: read('keyFile'), ...(serverName === '' ? {} : { serverName }) };
}

/** A PEM file that a setting names, relative to the folder of the configuration. Throws `ConfigError`. */
export function readPem(setting: string, path: string, baseDirectory: string): Buffer {
  const full = resolve(baseDirectory, path);
  let bytes: Buffer;
  try {
    bytes = readFileSync(full);
  } catch (error) {
    throw new ConfigError(`cannot read ${full} (${(error as NodeJS.ErrnoException).code})`, {
      field: setting,
      remedy: 'name a PEM file that can be read',
    });
  }
  if (bytes.includes('-----BEGIN ')) return bytes;
  throw new ConfigError(`${full} is no PEM file`, { field: setting, remedy: 'give a file with -----BEGIN …----- in it' });
}
