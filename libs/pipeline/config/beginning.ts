/** Where a sink begins to read a queue of which it has no position: at its beginning, at the connector's start, or at a time in epoch milliseconds. */
export type Beginning = 'earliest' | 'latest' | number;

export const BEGINNINGS = "Must be 'earliest', 'latest', or a time such as 2026-01-31T08:00:00Z";

/** Null for what is none. A time says its zone; a date alone is its midnight in UTC. */
export function beginningOf(text: string): Beginning | null {
  if (text === 'earliest' || text === 'latest') return text;
  const timeMs = TIME.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(timeMs) ? null : timeMs;
}

const TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/;
