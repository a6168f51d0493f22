import type { ClusterKeys } from '@rocketmq-connect/cluster';
import type { MetadataStore, Watch, WatchEvent } from '@rocketmq-connect/metadata-store';
import { type Owner, OwnershipHistory } from './ownership-history.ts';

/** An owner key that went away without a release: its owner died, or lost its session. */
export interface LostOwner extends Owner {
  /** Wall clock, when it was seen. */
  readonly atMs: number;
}

/** Follows what is written to a real store since its first revision: who claimed what, and what of it breaks invariants 1 to 4. */
export class OwnershipWatch {
  readonly violations: string[] = [];
  readonly lost: LostOwner[] = [];
  readonly #history = new OwnershipHistory((invariant, message) => this.violations.push(`invariant ${invariant}: ${message}`));
  readonly #claims = new Map<string, number>();
  readonly #watch: Watch;
  #revision = 0n;

  constructor(store: MetadataStore, keys: ClusterKeys) {
    this.#watch = store.watch(keys.root, 1n, {
      onEvents: (events) => {
        for (const transaction of transactionsOf(events)) this.#apply(transaction);
      },
      onEnd: (error) => this.violations.push(`the history was not seen to its end: ${error.message}`),
    });
  }

  /** Of the last transaction that was seen. */
  get revision(): bigint {
    return this.#revision;
  }

  ownerOf(unit: string): Owner | undefined {
    return this.#history.ownerOf(unit);
  }

  /** How often a unit (`connectors/c`, `tasks/c/0`) was claimed. */
  claimsOf(unit: string): number {
    return this.#claims.get(unit) ?? 0;
  }

  close(): void {
    this.#watch.cancel();
  }

  #apply(transaction: readonly WatchEvent[]): void {
    const before = this.#history.owners;
    this.#history.apply(transaction);
    const after = this.#history.owners;
    for (const { unit } of lacking(after, before)) this.#claims.set(unit, this.claimsOf(unit) + 1);
    // A release shows the unit as UNASSIGNED in the same transaction.
    for (const owner of lacking(before, after)) {
      const isReleased = transaction.some((event) => event.type === 'put' && event.kv.key.endsWith(`/status/${owner.unit}`));
      if (!isReleased) this.lost.push({ ...owner, atMs: Date.now() });
    }
    const [first] = transaction;
    if (first !== undefined) this.#revision = revisionOf(first);
  }
}

function lacking(owners: readonly Owner[], others: readonly Owner[]): Owner[] {
  const tokens = new Set(others.map(({ token }) => token));
  return owners.filter(({ token }) => !tokens.has(token));
}

function transactionsOf(events: readonly WatchEvent[]): Iterable<readonly WatchEvent[]> {
  return Map.groupBy(events, revisionOf).values();
}

function revisionOf(event: WatchEvent): bigint {
  return event.type === 'put' ? event.kv.modRevision : event.revision;
}
