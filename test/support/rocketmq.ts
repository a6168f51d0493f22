import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('../../scripts/rocketmq', import.meta.url));
const FIRST_PORT = Number(process.env['ROCKETMQ_PORT'] ?? 19_876);

/** Where `scripts/rocketmq` lets the servers listen. */
export const rocketmq = {
  nameServer: `127.0.0.1:${FIRST_PORT}`,
  broker: `127.0.0.1:${FIRST_PORT + 10}`,
  proxy: `127.0.0.1:${FIRST_PORT + 20}`,
} as const;

/** For a `before` hook: real servers are up, started if they are not. Fetching their jars for the first time takes minutes. */
export async function useRocketmq(context: Mocha.Context): Promise<void> {
  context.timeout(600_000);
  const running = await Promise.all(Object.values(rocketmq).map(answers));
  if (running.every(Boolean)) return;
  execFileSync(SCRIPT, ['up'], { stdio: ['ignore', 'ignore', 'inherit'] });
  startedHere = true;
}

/** For an `after` hook of the last suite: stops what `useRocketmq` started. */
export function releaseRocketmq(): void {
  if (!startedHere) return;
  startedHere = false;
  execFileSync(SCRIPT, ['down'], { stdio: ['ignore', 'ignore', 'inherit'] });
}

let startedHere = false;

function answers(address: string): Promise<boolean> {
  const [host = '', port] = address.split(':');
  return new Promise((resolve) => {
    const socket = connect(Number(port), host);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
