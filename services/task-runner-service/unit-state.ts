/**
 * A unit's life in its runner, as one total pure function. What the actions do is `unit.ts`'s business.
 *
 *              want                claimed               started
 *     IDLE ───────────► CLAIMING ───────────► STARTING ───────────► RUNNING ⇄ PAUSED
 *      ▲                   │ refused             │ failed              │ failed
 *      │                   ▼                     ▼                     ▼
 *      │                WAITING                FAILED            RESTARTING (backoff, or a user's)
 *      └── released ◄── RELEASING ◄── STOPPING ◄── unwant, from every state that owns
 *     any state ── sessionOver ──► IDLE
 */
export function next(state: UnitState, event: UnitEvent): Transition {
  if (event.type === 'sessionOver') return { state: idle, actions: ['kill'] };
  const at = event.type === 'want' ? { ...state, wanted: true, paused: event.paused } : state;
  switch (at.phase) {
    case 'IDLE':
      return event.type === 'want' ? go(at, 'CLAIMING', 'claim') : stay(at);
    case 'CLAIMING':
      return claiming(at, event);
    case 'WAITING':
      if (event.type === 'unwant') return { state: idle, actions: ['forgetBlocker'] };
      return event.type === 'unblocked' ? go(at, 'CLAIMING', 'forgetBlocker', 'claim') : stay(at);
    case 'STARTING':
      if (event.type === 'started') return go(at, at.paused ? 'PAUSED' : 'RUNNING', 'setPaused');
      // The code has not begun: nothing to stop, and another runner may be able to.
      if (event.type === 'unable') return { state: { ...at, phase: 'RELEASING', unable: true }, actions: ['release'] };
      return running(at, event);
    case 'RUNNING':
    case 'PAUSED':
      if (event.type === 'want') return flip(at, state.paused);
      return running(at, event);
    case 'FAILED':
      return event.type === 'restart' ? go(at, 'STARTING', 'start') : running(at, event);
    case 'RESTARTING':
      return restarting(at, event);
    case 'STOPPING':
      return stopping(at, event);
    case 'RELEASING':
      return releasing(at, event);
  }
}

export type UnitPhase =
  | 'IDLE'
  | 'CLAIMING'
  | 'WAITING'
  | 'STARTING'
  | 'RUNNING'
  | 'PAUSED'
  | 'FAILED'
  | 'RESTARTING'
  | 'STOPPING'
  | 'RELEASING';

export interface UnitState {
  readonly phase: UnitPhase;
  /** The target has it, in this generation, and the connector is not STOPPED. */
  readonly wanted: boolean;
  /** The connector's target state is PAUSED. */
  readonly paused: boolean;
  /** RESTARTING: waits for its code to end, not for a backoff. */
  readonly ending: boolean;
  /** RELEASING: because it cannot run here; it is claimed again only after a backoff. */
  readonly unable: boolean;
}

export type UnitEvent =
  /** Level, not edge: may come again at any time. */
  | { readonly type: 'want'; readonly paused: boolean }
  | { readonly type: 'unwant' }
  | { readonly type: 'claimed' }
  | { readonly type: 'refused' }
  /** What blocked the claim may be gone. */
  | { readonly type: 'unblocked' }
  | { readonly type: 'started' }
  /** Its code has ended by itself; `restartInMs` null: it stays failed. */
  | { readonly type: 'failed'; readonly restartInMs: number | null }
  /** Its code has ended because its host is ended for a neighbour: it goes on in another. */
  | { readonly type: 'moved' }
  /** Plugin or version missing here. */
  | { readonly type: 'unable' }
  /** The backoff is over. */
  | { readonly type: 'due' }
  /** A user's restart counter rose, or the configuration of a connector instance changed. */
  | { readonly type: 'restart' }
  /** Nothing of its code runs any more, as asked. */
  | { readonly type: 'stopped' }
  /** The owner key is not ours any more, for certain. */
  | { readonly type: 'released' }
  /** The store refused our token: someone else may own it. */
  | { readonly type: 'fenced' }
  | { readonly type: 'sessionOver' };

export type UnitAction =
  | 'claim'
  /** Watch what blocked the claim; answered by `unblocked`. */
  | 'awaitBlocker'
  | 'forgetBlocker'
  /** As `awaitBlocker`, for a time of its own. */
  | 'awaitAbility'
  /** Wait for outstanding commits, read offsets, run the code; answered by `started`, `failed`, `unable` or `fenced`. */
  | 'start'
  | 'setPaused'
  /** End the code, within its limit; answered by `stopped`. */
  | 'stop'
  /** End the code now and commit nothing; answered by `stopped`, except after `sessionOver`. */
  | 'kill'
  | 'scheduleRestart'
  | 'cancelRestart'
  /** Give the owner key back, with the last commit if the stop was clean; answered by `released`. */
  | 'release';

export interface Transition {
  readonly state: UnitState;
  readonly actions: readonly UnitAction[];
}

export const idle: UnitState = { phase: 'IDLE', wanted: false, paused: false, ending: false, unable: false };

/** Whether this runner holds, or may hold, the unit's owner key. */
export function owns(phase: UnitPhase): boolean {
  return phase !== 'IDLE' && phase !== 'CLAIMING' && phase !== 'WAITING';
}

function claiming(at: UnitState, event: UnitEvent): Transition {
  switch (event.type) {
    case 'unwant': // a claim is on its way: its answer decides
      return stay({ ...at, wanted: false });
    case 'claimed':
      return at.wanted ? go(at, 'STARTING', 'start') : go(at, 'RELEASING', 'release');
    case 'refused':
      return at.wanted ? go(at, 'WAITING', 'awaitBlocker') : stay(idle);
    default:
      return stay(at);
  }
}

/** What every state that owns and is not on its way out has in common. A FAILED owner, too: it would block the next generation. */
function running(at: UnitState, event: UnitEvent): Transition {
  switch (event.type) {
    case 'unwant':
      return go({ ...at, wanted: false }, 'STOPPING', 'stop');
    case 'fenced':
      return go(at, 'STOPPING', 'kill');
    case 'failed':
      if (at.phase === 'FAILED') return stay(at);
      return event.restartInMs === null ? go(at, 'FAILED') : go(at, 'RESTARTING', 'scheduleRestart');
    case 'moved':
      return at.phase === 'FAILED' ? stay(at) : go(at, 'STARTING', 'start');
    case 'restart':
      return { state: { ...at, phase: 'RESTARTING', ending: true }, actions: ['stop'] };
    default:
      return stay(at);
  }
}

function restarting(at: UnitState, event: UnitEvent): Transition {
  switch (event.type) {
    case 'due':
      return at.ending ? stay(at) : go(at, 'STARTING', 'start');
    case 'restart':
      return at.ending ? stay(at) : go(at, 'STARTING', 'cancelRestart', 'start');
    case 'stopped':
    case 'failed':
    case 'moved':
      return at.ending ? go(at, 'STARTING', 'start') : stay(at);
    case 'unwant': // while ending, the stop is already on its way
      return at.ending ? go({ ...at, wanted: false }, 'STOPPING') : go({ ...at, wanted: false }, 'STOPPING', 'cancelRestart', 'stop');
    case 'fenced':
      return at.ending ? go(at, 'STOPPING', 'kill') : go(at, 'STOPPING', 'cancelRestart', 'kill');
    default:
      return stay(at);
  }
}

function stopping(at: UnitState, event: UnitEvent): Transition {
  switch (event.type) {
    case 'stopped':
    case 'failed':
    case 'moved':
      return go(at, 'RELEASING', 'release');
    case 'unwant':
      return stay({ ...at, wanted: false });
    case 'fenced':
      return { state: at, actions: ['kill'] };
    default:
      return stay(at);
  }
}

/** Never goes back to running: what was released may be another's by now. It is claimed anew instead. */
function releasing(at: UnitState, event: UnitEvent): Transition {
  switch (event.type) {
    case 'released':
      if (!at.wanted) return stay(idle);
      return at.unable ? go(at, 'WAITING', 'awaitAbility') : go(at, 'CLAIMING', 'claim');
    case 'unwant':
      return stay({ ...at, wanted: false });
    default:
      return stay(at);
  }
}

function flip(at: UnitState, before: boolean): Transition {
  return at.paused === before ? stay(at) : go(at, at.paused ? 'PAUSED' : 'RUNNING', 'setPaused');
}

function go(from: UnitState, phase: UnitPhase, ...actions: UnitAction[]): Transition {
  return { state: { ...from, phase, ending: false, unable: false }, actions };
}

function stay(state: UnitState): Transition {
  return { state, actions: [] };
}
