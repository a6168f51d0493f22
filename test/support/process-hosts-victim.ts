import { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import { ProcessHosts } from '@rocketmq-connect/task-runner-service/hosts/process-hosts';
import { misbehavingPlugin, OpenHost } from '../contract/task-hosts.ts';
import { monotonicMs } from './standalone.ts';

// A runner's process as far as its host processes see it: opens one, blocks its loop, tells it a deadline, and says so. For tests that stop
// or kill this process.
const deadline = new DeadlineWord();
deadline.set(monotonicMs() + 600_000);
const hosts = new ProcessHosts({
  connectLog: () => ({
    connection: { kind: 'remoting', nameServers: ['127.0.0.1:1'], clientId: 'victim' },
    transferList: [],
    release: () => {},
  }),
  deadline,
  plugins: [misbehavingPlugin],
  baseDirectory: process.cwd(),
  sampler: null,
  maxHeapMb: 64,
  maxMemoryMb: 1024,
  blockedAfterMs: 600_000,
});
const opened = new OpenHost(hosts);
await opened.start('blocked', { hook: 'poll', does: 'block' });
const deadlineMs = monotonicMs() + Number(process.argv[2]);
deadline.set(deadlineMs);
// It is looked at every 100 ms.
await new Promise((resolve) => setTimeout(resolve, 1000));
console.log(`host ${opened.host.id.replace('process-', '')} until ${deadlineMs}`);
setInterval(() => {}, 60_000);
