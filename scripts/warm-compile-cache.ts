import { enableCompileCache, flushCompileCache } from 'node:module';

// Run by `npm install`: loads what a standalone loads, so that its first start finds the code compiled (see cli/bin/rocketmq-connect.js).
enableCompileCache(new URL('../node_modules/.cache/rocketmq-connect', import.meta.url).pathname);
await import('../cli/main.ts');
await import('../services/standalone/main.ts');
// The entry of host threads refuses to run elsewhere, after its imports are loaded.
await import('../services/task-runner-service/hosts/thread-main.ts').catch(() => {});
flushCompileCache();
process.exit();
