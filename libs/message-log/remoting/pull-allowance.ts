/** Limits the answers that are under way to the pulls of one reader, by estimate. One pull may always be. */
export class PullAllowance {
  /** The most that the answer to a single pull may have. */
  readonly bytesMax: number;
  readonly #onFreed: () => void;
  #bytes = 0;
  #refused = false;

  /** `onFreed`: those who were refused may ask again. */
  constructor(bytesMax: number, onFreed: () => void) {
    this.bytesMax = bytesMax;
    this.#onFreed = onFreed;
  }

  take(bytes: number): boolean {
    if (this.#bytes > 0 && this.#bytes + bytes > this.bytesMax) {
      this.#refused = true;
      return false;
    }
    this.#bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
    if (!this.#refused) return;
    this.#refused = false;
    this.#onFreed();
  }
}
