import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decideRestart, defaultRestartPolicy, type FailureKind, type RestartPolicy, restartPolicyOf } from './restart-policy.ts';

const middle = (): number => 0.5;
const policy: RestartPolicy = defaultRestartPolicy;

describe('the restart policy', () => {
  it('S130: doubles the delay up to its ceiling, and counts anew after a stable time', () => {
    let nowMs = 0;
    let restarts = 0;
    const failAfter = (ranMs: number): number | null => {
      const startedAtMs = nowMs;
      nowMs += ranMs;
      const decision = decideRestart(policy, 'retriable', { restarts, startedAtMs }, nowMs, middle);
      restarts = decision.restarts;
      nowMs += decision.restartInMs ?? 0;
      return decision.restartInMs;
    };
    const delays = Array.from({ length: 9 }, () => failAfter(10));
    assert.deepEqual(delays, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    assert.equal(failAfter(119_999), 60_000);
    assert.equal(failAfter(120_000), 1000);
    assert.equal(failAfter(10), 2000);
  });

  it('S130: honours the limit of restarts', () => {
    const limited = { ...policy, maxRestarts: 2 };
    const decide = (restarts: number) => decideRestart(limited, 'host', { restarts, startedAtMs: null }, 0, middle).restartInMs;
    assert.deepEqual([0, 1, 2, 3].map(decide), [1000, 2000, null, null]);
  });

  it('restarts what may pass by itself, and nothing else', () => {
    const kinds: FailureKind[] = ['retriable', 'unavailable', 'host', 'config', 'data', 'fatal', 'notFound', 'conflict', 'denied'];
    const restarting = kinds.filter(
      (kind) => decideRestart(defaultRestartPolicy, kind, { restarts: 0, startedAtMs: null }, 0, middle).restartInMs !== null,
    );
    assert.deepEqual(restarting, ['retriable', 'unavailable', 'host']);
  });

  it('is what the configuration of the connector asks for, as far as it can be read', () => {
    const restartOf = (config: Record<string, string>, failure: FailureKind, restarts = 0) =>
      decideRestart(restartPolicyOf(policy, config), failure, { restarts, startedAtMs: null }, 0, middle).restartInMs;
    assert.deepEqual(restartPolicyOf(policy, {}), policy);
    assert.deepEqual([restartOf({ 'errors.restart': 'all' }, 'fatal'), restartOf({ 'errors.restart': 'none' }, 'host')], [1000, null]);
    const limited = { 'errors.restart.max': '2', 'errors.restart.delay.max.ms': '1500' };
    assert.deepEqual(
      [0, 1, 2].map((restarts) => restartOf(limited, 'retriable', restarts)),
      [1000, 1500, null],
    );
    assert.deepEqual(restartOf({ 'errors.restart.max': '0' }, 'retriable'), null);
    assert.equal(restartOf({ 'errors.restart.delay.max.ms': '100' }, 'retriable'), 100);
    assert.deepEqual(
      restartPolicyOf(policy, { 'errors.restart': 'x', 'errors.restart.max': '', 'errors.restart.delay.max.ms': '-1' }),
      policy,
    );
  });

  it('jitters within 20 % and never exceeds the ceiling', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (restarts, random) => {
        const { restartInMs } = decideRestart(policy, 'host', { restarts, startedAtMs: null }, 0, () => random);
        const nominal = Math.min(60_000, 1000 * 2 ** restarts);
        assert.ok(restartInMs !== null && restartInMs >= nominal * 0.8 && restartInMs <= Math.min(60_000, nominal * 1.2));
      }),
    );
  });
});
