/**
 * Counts of observations per bucket, of those above all bounds, and their sum: one flat array, cheap to pass between threads. Bounds are not in
 * it: both sides know them.
 */
export type Histogram = Float64Array;

/** In seconds: from what a send to a near broker takes to what somebody should look at. */
export const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60] as const;
/** In seconds: from one end to the other, with what waits in between. */
export const LATENCY = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600] as const;
/** Records at once. */
export const BATCH = [1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10000] as const;

export function histogram(bounds: readonly number[]): Histogram {
  return new Float64Array(bounds.length + 2);
}

export function observe(into: Histogram, bounds: readonly number[], value: number): void {
  let bucket = 0;
  while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
  into[bucket] = (into[bucket] as number) + 1;
  into[bounds.length + 1] = (into[bounds.length + 1] as number) + value;
}

export function addHistogram(into: Histogram, other: Histogram): void {
  for (let i = 0; i < into.length; i++) into[i] = (into[i] as number) + (other[i] ?? 0);
}
