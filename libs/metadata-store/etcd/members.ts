import { ConfigError, ConnectError, FatalError } from '@rocketmq-connect/sdk';
import type { IStatusResponse } from 'etcd3';
import type { EtcdEndpoints } from './endpoints.ts';

/** Releases of a line from which on a deposed leader lets no lease expire early any more, as a rule: etcd issue 15247. */
const LEASES_MENDED: Readonly<Record<string, number>> = { '3.4': 31, '3.5': 13 };

/**
 * Looks at each member. Throws `FatalError` for one too old to be used, `ConfigError` when they are not of one cluster; answers what an operator should know: members that do not
 * answer, that are full, or whose release has a fault that touches leases.
 */
export async function checkMembers(endpoints: Pick<EtcdEndpoints, 'askEach'>): Promise<readonly Error[]> {
  const answers = await endpoints.askEach('its status', (etcd) => etcd.maintenance.status());
  const single = answers.length === 1;
  const clusters = new Set(answers.flatMap((each) => ('answer' in each ? [each.answer.header.cluster_id] : [])));
  if (clusters.size > 1) {
    throw new ConfigError(`the addresses of etcd belong to ${clusters.size} clusters`, {
      code: 'STORE_MIXED',
      field: 'etcd',
      remedy: 'name the members of one etcd cluster',
    });
  }
  return answers.flatMap((each) => ('error' in each ? [each.error] : warningsOf(each.address, each.answer, single)));
}

function warningsOf(address: string, { version, errors, isLearner }: IStatusResponse, single: boolean) {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  if (major < 3 || (major === 3 && minor < 4)) {
    throw new FatalError(`etcd ${address} is of version ${version}`, {
      code: 'STORE_UNSUPPORTED',
      field: 'etcd',
      remedy: 'use etcd 3.4 or newer',
    });
  }
  const warnings: ConnectError[] = [];
  const warn = (message: string, code: string, remedy: string): void =>
    void warnings.push(new ConnectError('retriable', `etcd ${address} ${message}`, { code, field: 'etcd', remedy }));
  const mended = LEASES_MENDED[`${major}.${minor}`];
  if (!single && mended !== undefined && patch < mended) {
    warn(
      `is of version ${version}: after a change of its leader, leases may expire too early, and a task may run twice for a moment`,
      'STORE_LEASES_UNSAFE',
      'upgrade etcd to 3.4.31, 3.5.13, 3.6 or newer (etcd issue 15247)',
    );
  }
  for (const error of errors) {
    if (/NOSPACE/.test(error)) warn('is full (alarm NOSPACE)', 'STORE_FULL', 'compact and defragment it, then: etcdctl alarm disarm');
    else if (/CORRUPT/.test(error)) warn('reports damage (alarm CORRUPT)', 'STORE_CORRUPT', 'replace this member');
  }
  if (isLearner) warn('is a learner, which serves no reads or writes', 'STORE_LEARNER', 'name voting members only');
  return warnings;
}
