import { type ClusterKeys, decodeStored } from '@rocketmq-connect/cluster';
import type { MetadataStore, Watch } from '@rocketmq-connect/metadata-store';
import { StoredOwner } from '@rocketmq-connect/proto/storage';

/** Every claim and release of units since the start, as the store's history has them; and what of it breaks invariants 1 and 2. */
export class OwnerHistory {
  readonly violations: string[] = [];
  readonly #keys: ClusterKeys;
  readonly #owners = new Map<string, string>();
  readonly #claims: { readonly unit: string; readonly runner: string }[] = [];
  readonly #watch: Watch;

  constructor(store: MetadataStore, keys: ClusterKeys) {
    this.#keys = keys;
    this.#watch = store.watch(keys.owners, 1n, {
      onEvents: (events) => {
        for (const event of events) {
          if (event.type === 'delete') this.#owners.delete(event.key);
          else this.#claimed(event.kv.key, decodeStored(StoredOwner, event.kv).runner);
        }
      },
      onEnd: (error) => this.violations.push(`the history was not seen to its end: ${error.message}`),
    });
  }

  /** The runners that claimed a unit (`connectors/c`, `tasks/c/0`), one after the other. */
  claimsOf(unit: string): string[] {
    return this.#claims.filter((claim) => claim.unit === unit).map(({ runner }) => runner);
  }

  close(): void {
    this.#watch.cancel();
  }

  #claimed(key: string, runner: string): void {
    const present = this.#owners.get(key);
    if (present !== undefined && present !== runner) this.violations.push(`${key} went from ${present} to ${runner} without a release`);
    const [kind = '', connector = '', generation = '', task] = key.slice(this.#keys.owners.start.length).split('/');
    const tasks = `${this.#keys.owners.start}tasks/${connector}/`;
    const older = [...this.#owners.keys()].find(
      (other) => task !== undefined && other.startsWith(tasks) && other < `${tasks}${generation}`,
    );
    if (older !== undefined) this.violations.push(`${key} was claimed while ${older} was owned`);
    this.#owners.set(key, runner);
    this.#claims.push({ unit: task === undefined ? `${kind}/${connector}` : `${kind}/${connector}/${task}`, runner });
  }
}
