import { type KeyRange, prefixRange, spanRange } from '@rocketmq-connect/metadata-store';

/**
 * A unit is what a runner can own: a connector instance (`task` undefined) or one task of one generation.
 * Unit ids are `connectors/{connector}` and `tasks/{connector}/{task}`; names are percent-encoded so that a `/` cannot occur.
 */
export interface UnitRef {
  readonly connector: string;
  readonly task?: number;
}

export function unitId(unit: UnitRef): string {
  return unit.task === undefined ? `connectors/${encode(unit.connector)}` : `tasks/${encode(unit.connector)}/${unit.task}`;
}

export function parseUnitId(id: string): UnitRef {
  const [kind, connector, task] = id.split('/');
  if (connector === undefined) throw new Error(`not a unit id: ${id}`);
  return kind === 'tasks' ? { connector: decode(connector), task: Number(task) } : { connector: decode(connector) };
}

/** The generation of a task set: the `mod_revision` of its pointer as 16 hex digits, so that keys sort. */
export function generationOf(modRevision: bigint): string {
  return modRevision.toString(16).padStart(16, '0');
}

/** Every key of one cluster. One service writes a key: see docs/architecture.md. */
export function clusterKeys(cluster: string) {
  const root = `/rocketmq-connect/${encode(cluster)}/`;
  const under = (kind: string): KeyRange => prefixRange(`${root}${kind}/`);
  return {
    root: prefixRange(root),
    layout: `${root}layout`,
    leader: `${root}leader`,
    specs: under('specs'),
    spec: (connector: string) => `${root}specs/${encode(connector)}`,
    alters: under('alters'),
    alter: (connector: string) => `${root}alters/${encode(connector)}`,
    deletions: under('deleted'),
    deleted: (connector: string) => `${root}deleted/${encode(connector)}`,
    taskSets: under('tasksets'),
    taskSet: (connector: string) => `${root}tasksets/${encode(connector)}`,
    taskConfigs: (connector: string) => prefixRange(`${root}taskconfigs/${encode(connector)}/`),
    taskConfig: (connector: string, publication: string, chunk: number) =>
      `${root}taskconfigs/${encode(connector)}/${publication}/${String(chunk).padStart(3, '0')}`,
    offsets: (connector: string) => prefixRange(`${root}offsets/${encode(connector)}/`),
    offset: (connector: string, hash: string) => `${root}offsets/${encode(connector)}/${hash}`,
    sinkStates: (connector: string) => prefixRange(`${root}sinkstates/${encode(connector)}/`),
    sinkState: (connector: string, name: string) => `${root}sinkstates/${encode(connector)}/${encode(name)}`,
    commits: (connector: string) => prefixRange(`${root}commits/${encode(connector)}/`),
    commit: (connector: string, task: number) => `${root}commits/${encode(connector)}/${task}`,
    histories: (connector: string) => prefixRange(`${root}history/${encode(connector)}/`),
    history: (connector: string, revision: string) => `${root}history/${encode(connector)}/${revision}`,
    targets: under('targets'),
    target: (runner: string) => `${root}targets/${encode(runner)}`,
    drains: under('drains'),
    drain: (runner: string) => `${root}drains/${encode(runner)}`,
    absences: under('absences'),
    absence: (runner: string) => `${root}absences/${encode(runner)}`,
    absenceTimers: under('timers/absence'),
    absenceTimer: (runner: string) => `${root}timers/absence/${encode(runner)}`,
    runners: under('runners'),
    runner: (runner: string) => `${root}runners/${encode(runner)}`,
    owners: under('owners'),
    connectorOwner: (connector: string) => `${root}owners/connectors/${encode(connector)}`,
    taskOwners: (connector: string) => prefixRange(`${root}owners/tasks/${encode(connector)}/`),
    /** Owners of generations older than `generation`. */
    olderTaskOwners: (connector: string, generation: string) =>
      spanRange(`${root}owners/tasks/${encode(connector)}/`, `${root}owners/tasks/${encode(connector)}/${generation}`),
    taskOwner: (connector: string, generation: string, task: number) => `${root}owners/tasks/${encode(connector)}/${generation}/${task}`,
    statuses: under('status'),
    /** Statuses of a connector's tasks. */
    taskStatuses: (connector: string) => prefixRange(`${root}status/tasks/${encode(connector)}/`),
    status: (unit: UnitRef) => `${root}status/${unitId(unit)}`,
    loggers: under('loggers'),
    logger: (name: string) => `${root}loggers/${encode(name)}`,
    /** Of loggers whose names go on after that one's. */
    loggersBelow: (name: string) => prefixRange(`${root}loggers/${encode(name)}.`),
    services: under('services'),
    servicesOf: (kind: string) => prefixRange(`${root}services/${kind}/`),
    service: (kind: string, id: string) => `${root}services/${kind}/${encode(id)}`,
  };
}

export type ClusterKeys = ReturnType<typeof clusterKeys>;

/** The last segment of a key, decoded: the connector, runner or state name it is about. */
export function lastSegment(key: string): string {
  return decode(key.slice(key.lastIndexOf('/') + 1));
}

// Only what would break a path is escaped, so that names stay readable in etcdctl.
function encode(name: string): string {
  return name.replace(/[%/\p{Cc}]/gu, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function decode(segment: string): string {
  return segment.replace(/%([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
