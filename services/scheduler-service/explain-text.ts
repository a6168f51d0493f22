import type { Verdict } from '@rocketmq-connect/placement';
import type { Unit } from '@rocketmq-connect/proto/cluster';
import { TargetState, UnitState } from '@rocketmq-connect/proto/common';

/** Everything that is known of one unit. */
export interface UnitFacts {
  readonly unit: Unit;
  readonly targetState: TargetState;
  readonly error: string;
  /** False for one that should not run and is still owned. */
  readonly wanted: boolean;
  readonly verdicts: readonly Verdict[];
  /** Where a leader would place it now; '' nowhere. */
  readonly wouldBe: string;
  readonly live: ReadonlySet<string>;
  /** Runners that are gone and within their grace delay. */
  readonly awaited: ReadonlySet<string>;
  /** '' if no scheduler leads. */
  readonly leader: string;
  readonly hasTaskSet: boolean;
  /** Its owner runs it as an older task set had it. */
  readonly outdated: boolean;
  /** Who still owns tasks of the connector of older generations. */
  readonly olderOwners: readonly string[];
}

/** Why it is here, why it does not run, what it waits for: one sentence each, the most telling first. */
export function unitReasons(facts: UnitFacts): string[] {
  if (!facts.wanted) return [unwantedReason(facts)];
  return [...stateReasons(facts), ...waitReasons(facts), placementReason(facts)].filter((reason) => reason !== '');
}

export function obstacleText(obstacle: NonNullable<Verdict['obstacle']>): string {
  switch (obstacle.kind) {
    case 'draining':
      return 'it is draining';
    case 'label':
      return obstacle.found === undefined
        ? `it has no label ${obstacle.label}, wanted is ${obstacle.label}=${obstacle.wanted}`
        : `its label ${obstacle.label} is ${obstacle.found}, wanted is ${obstacle.wanted}`;
    case 'plugin':
      return `it does not have the plugin ${obstacle.plugin}`;
    case 'version':
      return `it has ${obstacle.plugin} in version ${obstacle.found.join(', ')}, wanted is ${obstacle.wanted}`;
    case 'full':
      return `its capacity of ${obstacle.capacity} has no room: ${obstacle.load} are used`;
    case 'siblings':
      return `it has ${obstacle.max} tasks of the connector, the most that placement.tasks.per.runner.max allows`;
  }
}

function unwantedReason({ unit, targetState }: UnitFacts): string {
  const owner = unit.ownerRunner;
  if (owner === '') return 'is not wanted any more';
  if (targetState === TargetState.STOPPED) return `the connector is STOPPED; ${owner} has not released it yet`;
  return `is not of the present task set; ${owner} has not released it yet`;
}

function stateReasons({ unit, targetState, error, hasTaskSet }: UnitFacts): string[] {
  const { state, ownerRunner: owner } = unit;
  const reasons: string[] = [];
  if (state === UnitState.FAILED) reasons.push(`failed on ${owner} and stays so until it is restarted or its configuration is changed`);
  if (state === UnitState.RESTARTING) reasons.push(`failed on ${owner}, which restarts it by itself`);
  if (state === UnitState.STARTING) reasons.push(`${owner} starts it`);
  if (state === UnitState.STOPPING) reasons.push(`${owner} stops it: it ends what is under way and commits`);
  if (owner === '' && error !== '') reasons.push('a runner gave it back because it cannot run there');
  if (targetState === TargetState.PAUSED) reasons.push('the connector is PAUSED');
  if (targetState === TargetState.UNRECOGNIZED && owner !== '')
    reasons.push(`only a newer version knows the target state of the connector: ${owner} pauses it unless it is of that version`);
  if (unit.task === -1 && !hasTaskSet && targetState === TargetState.RUNNING)
    reasons.push(
      owner === '' ? 'there are no tasks yet: nobody runs the connector that plans them' : `there are no tasks yet: ${owner} plans them`,
    );
  return reasons;
}

function waitReasons({ unit, live, awaited, outdated, olderOwners }: UnitFacts): string[] {
  const { targetRunner: target, ownerRunner: owner } = unit;
  if (outdated) return [`${owner} still runs it as the task set before had it, and stops that first`];
  if (owner !== '' && target !== '' && owner !== target)
    return [`moves from ${owner} to ${target}: waits until ${owner} has stopped and committed it`];
  if (owner !== '') return unit.state === UnitState.UNASSIGNED ? [`${owner} has claimed it and has not told its state yet`] : [];
  if (target === '') return [];
  if (awaited.has(target)) return [`waits for ${target}, which is gone but may come back: its grace delay is not over`];
  if (!live.has(target)) return [`waits for the scheduler to give up ${target}, which is gone`];
  if (olderOwners.length > 0) {
    const names = [...new Set(olderOwners)].sort().join(', ');
    return [`waits for ${names}: ${olderOwners.length} task(s) of the task set before must stop first`];
  }
  return [`waits for ${target} to claim it`];
}

function placementReason({ unit, verdicts, wouldBe, leader }: UnitFacts): string {
  const target = unit.targetRunner;
  const able = verdicts.filter(({ obstacle }) => obstacle === null);
  if (target === '' && wouldBe === '') {
    if (verdicts.length === 0) return 'no task runner is registered';
    return 'no task runner may run it';
  }
  const election = leader === '' ? ', as soon as a scheduler leads: none does now' : ', any moment now';
  if (target === '') return `will be placed on ${wouldBe}${election}`;
  const here = verdicts.find(({ runner }) => runner === target);
  if (here?.obstacle != null) {
    const why = `${target} may not run it any more: ${obstacleText(here.obstacle)}`;
    return wouldBe === '' ? `${why}; no other runner may` : `${why}; it goes to ${wouldBe}${election}`;
  }
  if (here === undefined) return wouldBe === '' || wouldBe === target ? '' : `it goes to ${wouldBe}${election}`;
  if (wouldBe !== '' && wouldBe !== target) return `is on ${target}, and moves to ${wouldBe} for balance${election}`;
  if (able.length === 1) return `is on ${target}: no other of ${verdicts.length} runner(s) may run it`;
  const others = able.filter(({ runner }) => runner !== target).map(({ load }) => load);
  return `is on ${target}, one of ${able.length} runners that may run it: without it ${target} has a load of ${here.load}, the others ${span(others)}`;
}

function span(loads: readonly number[]): string {
  const [least, most] = [Math.min(...loads), Math.max(...loads)];
  return least === most ? String(least) : `${least} to ${most}`;
}
