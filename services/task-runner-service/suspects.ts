/**
 * Who may not share a host with everybody. Who is known to have harmed its host gets a host of its own. Where several units were on a
 * host that died and nobody can tell whose doing it was, they are halved over fresh hosts until one of them is alone on one that dies.
 */
export class Suspects {
  readonly #groups = new Map<string, { readonly group: number; readonly case: number }>();
  #lastGroup = 0;
  #lastCase = 0;

  /** The group that a unit shares hosts with; 0: all that nothing is known of. */
  groupOf(unit: string): number {
    return this.#groups.get(unit)?.group ?? 0;
  }

  /** It was this one: whoever was suspected with it is cleared, and may share again when it starts anew. */
  convict(unit: string): void {
    const suspected = this.#groups.get(unit)?.case;
    for (const [other, { case: its }] of this.#groups) if (its === suspected) this.#groups.delete(other);
    this.#groups.set(unit, { group: ++this.#lastGroup, case: ++this.#lastCase });
  }

  /** It was one of these. */
  halve(units: readonly string[]): void {
    const [one, other] = [++this.#lastGroup, ++this.#lastGroup];
    // Within a case the half that is left in peace stays suspected: it is cleared when the culprit is found.
    const known = units.map((unit) => this.#groups.get(unit)?.case).find((its) => its !== undefined);
    const its = known ?? ++this.#lastCase;
    for (const [i, unit] of units.entries()) this.#groups.set(unit, { group: i < units.length / 2 ? one : other, case: its });
  }

  forget(unit: string): void {
    this.#groups.delete(unit);
  }

  clear(): void {
    this.#groups.clear();
  }
}
