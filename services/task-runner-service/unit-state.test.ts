import assert from 'node:assert/strict';
import fc from 'fast-check';
import { idle, next, owns, type UnitEvent, type UnitPhase, type UnitState } from './unit-state.ts';

/** A state written short: phase, then `-` not wanted, `p` paused, `e` ending, `u` unable. */
function parse(text: string): UnitState {
  const [phase = '', flags = ''] = text.split(' ');
  return {
    phase: phase as UnitPhase,
    wanted: !flags.includes('-'),
    paused: flags.includes('p'),
    ending: flags.includes('e'),
    unable: flags.includes('u'),
  };
}

function print({ phase, wanted, paused, ending, unable }: UnitState): string {
  const flags = `${wanted ? '' : '-'}${paused ? 'p' : ''}${ending ? 'e' : ''}${unable ? 'u' : ''}`;
  return flags === '' ? phase : `${phase} ${flags}`;
}

const events: Readonly<Record<string, UnitEvent>> = {
  want: { type: 'want', paused: false },
  wantPaused: { type: 'want', paused: true },
  unwant: { type: 'unwant' },
  claimed: { type: 'claimed' },
  refused: { type: 'refused' },
  unblocked: { type: 'unblocked' },
  started: { type: 'started' },
  failed: { type: 'failed', restartInMs: null },
  failedRestart: { type: 'failed', restartInMs: 10 },
  moved: { type: 'moved' },
  unable: { type: 'unable' },
  due: { type: 'due' },
  restart: { type: 'restart' },
  stopped: { type: 'stopped' },
  released: { type: 'released' },
  fenced: { type: 'fenced' },
  sessionOver: { type: 'sessionOver' },
};

const over = 'IDLE - : kill';
/** Every state × every event; an event that is not listed changes nothing and does nothing. */
const table: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'IDLE -': { want: 'CLAIMING : claim', wantPaused: 'CLAIMING p : claim', sessionOver: over },
  CLAIMING: {
    wantPaused: 'CLAIMING p',
    unwant: 'CLAIMING -',
    claimed: 'STARTING : start',
    refused: 'WAITING : awaitBlocker',
    sessionOver: over,
  },
  'CLAIMING -': {
    want: 'CLAIMING',
    wantPaused: 'CLAIMING p',
    claimed: 'RELEASING - : release',
    refused: 'IDLE -',
    sessionOver: over,
  },
  WAITING: {
    wantPaused: 'WAITING p',
    unwant: 'IDLE - : forgetBlocker',
    unblocked: 'CLAIMING : forgetBlocker claim',
    sessionOver: over,
  },
  STARTING: {
    wantPaused: 'STARTING p',
    unwant: 'STOPPING - : stop',
    started: 'RUNNING : setPaused',
    failed: 'FAILED',
    failedRestart: 'RESTARTING : scheduleRestart',
    moved: 'STARTING : start',
    unable: 'RELEASING u : release',
    restart: 'RESTARTING e : stop',
    fenced: 'STOPPING : kill',
    sessionOver: over,
  },
  'STARTING p': {
    want: 'STARTING',
    unwant: 'STOPPING -p : stop',
    started: 'PAUSED p : setPaused',
    failed: 'FAILED p',
    failedRestart: 'RESTARTING p : scheduleRestart',
    moved: 'STARTING p : start',
    unable: 'RELEASING pu : release',
    restart: 'RESTARTING pe : stop',
    fenced: 'STOPPING p : kill',
    sessionOver: over,
  },
  RUNNING: {
    wantPaused: 'PAUSED p : setPaused',
    unwant: 'STOPPING - : stop',
    failed: 'FAILED',
    failedRestart: 'RESTARTING : scheduleRestart',
    moved: 'STARTING : start',
    restart: 'RESTARTING e : stop',
    fenced: 'STOPPING : kill',
    sessionOver: over,
  },
  'PAUSED p': {
    want: 'RUNNING : setPaused',
    unwant: 'STOPPING -p : stop',
    failed: 'FAILED p',
    failedRestart: 'RESTARTING p : scheduleRestart',
    moved: 'STARTING p : start',
    restart: 'RESTARTING pe : stop',
    fenced: 'STOPPING p : kill',
    sessionOver: over,
  },
  FAILED: {
    wantPaused: 'FAILED p',
    unwant: 'STOPPING - : stop',
    restart: 'STARTING : start',
    fenced: 'STOPPING : kill',
    sessionOver: over,
  },
  RESTARTING: {
    wantPaused: 'RESTARTING p',
    unwant: 'STOPPING - : cancelRestart stop',
    due: 'STARTING : start',
    restart: 'STARTING : cancelRestart start',
    fenced: 'STOPPING : cancelRestart kill',
    sessionOver: over,
  },
  'RESTARTING e': {
    wantPaused: 'RESTARTING pe',
    unwant: 'STOPPING -',
    stopped: 'STARTING : start',
    failed: 'STARTING : start',
    failedRestart: 'STARTING : start',
    moved: 'STARTING : start',
    fenced: 'STOPPING : kill',
    sessionOver: over,
  },
  'STOPPING -': {
    want: 'STOPPING',
    wantPaused: 'STOPPING p',
    stopped: 'RELEASING - : release',
    failed: 'RELEASING - : release',
    failedRestart: 'RELEASING - : release',
    moved: 'RELEASING - : release',
    fenced: 'STOPPING - : kill',
    sessionOver: over,
  },
  STOPPING: {
    wantPaused: 'STOPPING p',
    unwant: 'STOPPING -',
    stopped: 'RELEASING : release',
    failed: 'RELEASING : release',
    failedRestart: 'RELEASING : release',
    moved: 'RELEASING : release',
    fenced: 'STOPPING : kill',
    sessionOver: over,
  },
  'RELEASING -': { want: 'RELEASING', wantPaused: 'RELEASING p', released: 'IDLE -', sessionOver: over },
  RELEASING: { wantPaused: 'RELEASING p', unwant: 'RELEASING -', released: 'CLAIMING : claim', sessionOver: over },
  'RELEASING u': {
    wantPaused: 'RELEASING pu',
    unwant: 'RELEASING -u',
    released: 'WAITING : awaitAbility',
    sessionOver: over,
  },
};

const anyEvent = fc.constantFrom(...Object.values(events));

function run(path: readonly UnitEvent[]): UnitState[] {
  const states = [idle];
  for (const event of path) states.push(next(states.at(-1) ?? idle, event).state);
  return states;
}

describe('a unit’s life in its runner', () => {
  for (const [from, row] of Object.entries(table)) {
    it(`${from}: every event`, () => {
      for (const [name, event] of Object.entries(events)) {
        const { state, actions } = next(parse(from), event);
        const got = actions.length === 0 ? print(state) : `${print(state)} : ${actions.join(' ')}`;
        assert.equal(got, row[name] ?? from, `${from} × ${name}`);
      }
    });
  }

  it('reaches only states that the table knows, but for pausing', () => {
    const known = new Set(Object.keys(table).map((text) => print({ ...parse(text), paused: false, wanted: true })));
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 40 }), (path) => {
        for (const state of run(path)) assert.ok(known.has(print({ ...state, paused: false, wanted: true })), print(state));
      }),
    );
  });

  it('stops from every state that owns, when it is not wanted any more', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 40 }), (path) => {
        const last = run([...path, { type: 'unwant' }]).at(-1) ?? idle;
        assert.ok(['IDLE', 'CLAIMING', 'STOPPING', 'RELEASING'].includes(last.phase), last.phase);
        const released = run([...path, { type: 'unwant' }, { type: 'claimed' }, { type: 'stopped' }, { type: 'released' }]).at(-1);
        assert.equal(released?.phase, 'IDLE');
      }),
    );
  });

  it('is IDLE after the end of the session, whatever it was', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 40 }), (path) => {
        assert.deepEqual(run([...path, { type: 'sessionOver' }]).at(-1), idle);
      }),
    );
  });

  it('never goes back from RELEASING to code that runs without a new claim', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { minLength: 5, maxLength: 60 }), (path) => {
        const states = run(path);
        for (const [i, state] of states.entries()) {
          const after = states[i + 1];
          if (state.phase === 'RELEASING' && after !== undefined) assert.ok(after.phase === 'RELEASING' || !owns(after.phase), after.phase);
        }
      }),
    );
  });
});
