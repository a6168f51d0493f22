/** Whether a server takes requests now. Whoever knows better sets it; health tells it, and its watches follow it. */
export class ServingState {
  #serving: boolean;
  readonly #listeners = new Set<() => void>();

  constructor(serving = true) {
    this.#serving = serving;
  }

  get serving(): boolean {
    return this.#serving;
  }

  set(serving: boolean): void {
    if (serving === this.#serving) return;
    this.#serving = serving;
    for (const listener of this.#listeners) listener();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
