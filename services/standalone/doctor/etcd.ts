import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { checkPermissions, clusterKeys, WRITES } from '@rocketmq-connect/cluster';
import type { Settings } from '@rocketmq-connect/configuration';
import type { EtcdConnection } from '@rocketmq-connect/metadata-store/connection';
import { EtcdStore } from '@rocketmq-connect/metadata-store/etcd';
import { reach } from '@rocketmq-connect/process/reach';
import { etcdConnection } from '@rocketmq-connect/process/store';
import { ConnectError } from '@rocketmq-connect/sdk';
import { type Finding, failed, failedOf, ok, warning } from './finding.ts';

const OPEN_TIMEOUT_MS = 5_000;
const SLOW_MS = 100;
/** Dates of HTTP have whole seconds. */
const SKEW_WARN_MS = 2_000;
const SKEW_FAIL_MS = 30_000;
const READS = 5;

/** Whether etcd is there, of a version that can be used, fast enough, lets us do what we must, and has about our time. */
export async function checkEtcd(settings: Settings, baseDirectory: string): Promise<readonly Finding[]> {
  if (settings.etcd.length === 0) return [ok('etcd', 'not used: the metadata store is in the data folder')];
  const findings: Finding[] = [];
  for (const address of settings.etcd) {
    const why = await reach(address);
    if (why === null) findings.push(ok(`etcd ${address}`, 'takes connections'));
    else
      findings.push(
        failed(
          `etcd ${address}`,
          `cannot be reached: ${why}`,
          'is it started, is the address right (--etcd), does a firewall let us through?',
        ),
      );
  }
  if (findings.every(({ state }) => state === 'failed')) return findings;
  try {
    const connection = etcdConnection(settings, baseDirectory);
    if (connection !== undefined) findings.push(...(await checkStore(connection, settings)), await checkClock(connection));
  } catch (error) {
    findings.push(failedOf('etcd', error, 'look at the log of etcd'));
  }
  return findings;
}

async function checkStore(connection: EtcdConnection, settings: Settings): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const onTrouble = (error: Error): void => {
    const remedy = error instanceof ConnectError ? error.remedy : undefined;
    findings.push(warning('etcd members', error.message, remedy ?? 'look at the log of etcd'));
  };
  const store = await EtcdStore.open({ ...connection, openTimeoutMs: OPEN_TIMEOUT_MS, onTrouble });
  try {
    findings.push(ok('etcd version', '3.4 or newer'));
    const keys = clusterKeys(settings.cluster);
    const times: number[] = [];
    for (let i = 0; i < READS; i++) {
      const since = performance.now();
      await store.get(keys.layout);
      times.push(performance.now() - since);
    }
    const median = times.sort((a, b) => a - b)[READS >> 1] ?? 0;
    const detail = `a read takes ${median.toFixed(1)} ms`;
    if (median <= SLOW_MS) findings.push(ok('etcd latency', detail));
    else findings.push(warning('etcd latency', detail, 'give etcd fast disks of its own, and put it near: leases and commits wait for it'));
    findings.push(await checkRights(store, settings));
  } finally {
    await store.close();
  }
  return findings;
}

async function checkRights(store: EtcdStore, settings: Settings): Promise<Finding> {
  try {
    await checkPermissions(store, clusterKeys(settings.cluster), Object.keys(WRITES));
    return ok('etcd permissions', 'the user may read and write what all services need');
  } catch (error) {
    if (!(error instanceof ConnectError) || error.kind !== 'denied') throw error;
    return warning('etcd permissions', `for all services in one process: ${error.message}`, error.remedy ?? 'grant it');
  }
}

async function checkClock(connection: EtcdConnection): Promise<Finding> {
  const [address = ''] = connection.endpoints;
  try {
    return skewOf(`clock against etcd ${address}`, await dateOf(address, connection));
  } catch (error) {
    return warning(
      'clock',
      `the time of etcd cannot be asked for: ${(error as Error).message}`,
      'compare the clocks of all machines; run NTP on them',
    );
  }
}

/** By how much our clock is ahead of another's. Leases do not depend on it; timestamps, lags and latencies do. */
export function skewOf(check: string, skewMs: number): Finding {
  const detail = `differs by ${(Math.abs(skewMs) / 1000).toFixed(1)} s`;
  const remedy = 'run NTP on all machines: timestamps, latencies and TLS depend on it';
  if (Math.abs(skewMs) > SKEW_FAIL_MS) return failed(check, detail, remedy);
  return Math.abs(skewMs) > SKEW_WARN_MS ? warning(check, detail, remedy) : ok(check, detail);
}

/** Every answer of etcd over HTTP carries its time. */
function dateOf(address: string, { tls }: EtcdConnection): Promise<number> {
  return new Promise((resolve, reject) => {
    const files = Object.entries(tls ?? {}).map(([name, bytes]) => [name, Buffer.from(bytes)] as const);
    const options = { timeout: OPEN_TIMEOUT_MS, ...Object.fromEntries(files) };
    const request =
      tls === undefined ? requestHttp(`http://${address}/version`, options) : requestHttps(`https://${address}/version`, options);
    request.on('response', (response) => {
      response.resume();
      const date = Date.parse(response.headers.date ?? '');
      if (Number.isNaN(date)) reject(new Error('it tells none'));
      // In the middle of the second that it names.
      else resolve(Date.now() - (date + 500));
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', reject);
    request.end();
  });
}
