/**
 * A lease as its holder sees it, by its own monotonic clock (invariant 6). Pure, so that a thread of its own can drive it as well.
 *
 * The holder may act until `deadlineMs` = when the last successful keep-alive was *sent* + the TTL it answered − a margin. The end is
 * latched at `deadlineMs − killTimeMs`, while there is still time to end what runs: from then on nothing revives it, for whoever ends
 * things must not be told half-way that they may go on.
 */
export interface LeaseState {
  readonly phase: 'live' | 'ending';
  readonly deadlineMs: number;
  readonly killTimeMs: number;
  readonly ttlMs: number;
  /** Somebody was asked whether the next keep-alive may be sent. */
  readonly asked: boolean;
  /** When the keep-alive that is not answered yet was sent. One at a time. */
  readonly sentMs: number | null;
  /** When the next keep-alive is to be sent. */
  readonly nextSendMs: number;
  /** Why it ends. */
  readonly reason: string;
}

export type LeaseEvent =
  | { readonly type: 'tick'; readonly nowMs: number }
  /** Asks first: the next keep-alive is not sent before that is answered. */
  | { readonly type: 'asked'; readonly nowMs: number }
  | { readonly type: 'sent'; readonly nowMs: number }
  /** The store's TTL for the keep-alive that is out; 0: the lease is gone. */
  | { readonly type: 'answered'; readonly nowMs: number; readonly ttlMs: number }
  | { readonly type: 'failed'; readonly nowMs: number }
  /** Found out otherwise that the lease or what it held is gone. */
  | { readonly type: 'lost'; readonly reason: string };

/** A lease that was granted in answer to a request sent at `sentMs`. */
export function openedLease(sentMs: number, ttlMs: number, killTimeMs: number): LeaseState {
  const nextSendMs = sentMs + ttlMs / 3;
  return { phase: 'live', deadlineMs: deadlineOf(sentMs, ttlMs), killTimeMs, ttlMs, asked: false, sentMs: null, nextSendMs, reason: '' };
}

/** Total: any event in any state. */
export function nextLeaseState(state: LeaseState, event: LeaseEvent): LeaseState {
  if (event.type === 'lost') return lost(state, event.reason);
  // Before all else: an answer that comes after the latch is too late, even if no timer ran in time.
  if (state.phase === 'live' && event.nowMs >= endsAtMs(state))
    return { ...state, phase: 'ending', reason: 'the lease could not be renewed in time' };
  if (state.phase === 'ending') return state;
  switch (event.type) {
    case 'tick':
      return state;
    case 'asked':
      return { ...state, asked: true };
    case 'sent':
      return state.sentMs === null ? { ...state, asked: false, sentMs: event.nowMs } : state;
    case 'answered': {
      if (state.sentMs === null) return state;
      if (event.ttlMs <= 0) return lost(state, 'the store says that the lease is gone');
      const { ttlMs } = event;
      const renewed = { ...state, ttlMs, sentMs: null, deadlineMs: deadlineOf(state.sentMs, ttlMs), nextSendMs: state.sentMs + ttlMs / 3 };
      // A shorter TTL than before may leave no time.
      return nextLeaseState(renewed, { type: 'tick', nowMs: event.nowMs });
    }
    case 'failed':
      // Sooner than usual: the time that is left is short.
      return state.sentMs === null ? state : { ...state, sentMs: null, nextSendMs: event.nowMs + state.ttlMs / 10 };
  }
}

/** From when on the end is latched unless a keep-alive is answered before. */
export function endsAtMs(state: LeaseState): number {
  return state.deadlineMs - state.killTimeMs;
}

/** When to look again. */
export function wakeAtMs(state: LeaseState): number {
  return state.sentMs === null && !state.asked ? Math.min(state.nextSendMs, endsAtMs(state)) : endsAtMs(state);
}

// The margin: clocks that run 5 % apart, and timers that come late.
function deadlineOf(sentMs: number, ttlMs: number): number {
  return sentMs + ttlMs - (ttlMs * 0.1 + 200);
}

// Another may hold what this lease held: there is no time left at all.
function lost(state: LeaseState, reason: string): LeaseState {
  return state.phase === 'ending' ? { ...state, deadlineMs: 0 } : { ...state, phase: 'ending', deadlineMs: 0, reason };
}
