import { absent, type KeyValue, type MetadataStore } from '@rocketmq-connect/metadata-store';
import { ConfigError, ConnectError } from '@rocketmq-connect/sdk';
import type { ClusterKeys } from './keys.ts';

/** The version of the keys and values below a cluster's prefix that this code reads and writes. */
const LAYOUT = 1;

/**
 * Makes sure that what is below the prefix of the cluster is what this version can read and write, and notes its layout where there is
 * nothing yet. Throws `ConfigError` with code `STORE_LAYOUT_NEWER` or `STORE_LAYOUT_UNKNOWN`.
 */
export async function checkLayout(store: MetadataStore, keys: ClusterKeys): Promise<void> {
  const { layout: key } = keys;
  const { kv } = await store.get(key);
  if (kv !== null) return check(kv);
  try {
    const { responses } = await store.txn({
      compare: [absent(key)],
      then: [{ op: 'put', key, value: JSON.stringify({ layout: LAYOUT }) }],
      otherwise: [{ op: 'get', key }],
    });
    const [other] = responses[0] ?? [];
    if (other !== undefined) check(other);
  } catch (error) {
    // Whose role may only read it leaves it to the config-service, whose may write it.
    if (!(error instanceof ConnectError) || error.kind !== 'denied') throw error;
  }
}

function check({ key, value }: KeyValue): void {
  const layout = layoutOf(value);
  if (layout === LAYOUT) return;
  if (layout === undefined || layout < LAYOUT) {
    throw new ConfigError(
      `below ${key.slice(0, key.lastIndexOf('/'))} are keys that this program does not know (${key}: ${value.slice(0, 80)})`,
      {
        code: 'STORE_LAYOUT_UNKNOWN',
        field: 'cluster',
        remedy: 'choose another name with --cluster, or remove what is there if nobody needs it',
      },
    );
  }
  throw new ConfigError(`the metadata of this cluster has layout ${layout}; this version knows up to ${LAYOUT}`, {
    code: 'STORE_LAYOUT_NEWER',
    field: 'cluster',
    remedy: 'run the version that wrote it or a newer one, or choose another name with --cluster',
  });
}

function layoutOf(value: string): number | undefined {
  try {
    const parsed: unknown = JSON.parse(value);
    const layout = typeof parsed === 'object' && parsed !== null && 'layout' in parsed ? parsed.layout : undefined;
    return typeof layout === 'number' ? layout : undefined;
  } catch {
    return undefined;
  }
}
