import { globSync } from 'node:fs';
import { enableCompileCache, flushCompileCache } from 'node:module';
import { resolve } from 'node:path';

// Run by `npm install`: loads every module once, so that the first start finds all code compiled (see cli/bin/rocketmq-connect.js). One
// module that is missing costs each thread that meets it the whole type stripper, some 25 MB.
const root = new URL('..', import.meta.url).pathname;
enableCompileCache(resolve(root, 'node_modules/.cache/rocketmq-connect'));
for (const file of globSync('{libs,services,connectors,cli,proto/gen}/**/*.ts', {
  cwd: root,
  exclude: ['**/node_modules/**', '**/*.test.ts'],
})) {
  // The entry of host threads refuses to run elsewhere, after its imports are loaded.
  await import(resolve(root, file)).catch(() => {});
}
flushCompileCache();
process.exit();
