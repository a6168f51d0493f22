import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SCRIPT = fileURLToPath(new URL('../../scripts/etcd', import.meta.url));

/** For a `before` hook: a real etcd to share, started if none runs. Its endpoints; keep to keys of your own. */
export async function useEtcd(context: Mocha.Context): Promise<readonly string[]> {
  context.timeout(600_000);
  const given = process.env['ETCD_ENDPOINTS'];
  if (given !== undefined && given !== '') return given.split(',');
  const { stdout } = await script('status');
  if (!/runs/.test(stdout)) {
    await script('up');
    startedHere = true;
  }
  return [`127.0.0.1:${process.env['ETCD_PORT'] ?? 22_379}`];
}

let startedHere = false;

// A root hook: several suites use the same server.
after(async function () {
  if (!startedHere) return;
  this.timeout(60_000);
  await script('down');
});

function script(command: string) {
  const directory = process.env['ETCD_DIR'] ?? join(tmpdir(), 'rocketmq-connect', 'etcd');
  return promisify(execFile)(SCRIPT, [command], { env: { ...process.env, ETCD_DIR: directory } });
}
