import type { TaskCounters } from './host-protocol.ts';

/** Of a task that has done nothing yet. */
export function emptyCounters(): TaskCounters {
  return {
    polled: 0,
    acknowledged: 0,
    deduplicated: 0,
    filtered: 0,
    deadLettered: 0,
    skipped: 0,
    inFlight: 0,
    bytes: 0,
    retries: 0,
    lag: -1,
  };
}
