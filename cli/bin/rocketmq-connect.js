#!/usr/bin/env node
// Plain JavaScript that any Node runs: it finds a Node that runs TypeScript as it is, and hands over to it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
// Not by name: an older Node would refuse the whole file for a function that it lacks.
import module from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NEEDED = [22, 22];
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const fits = major > 23 || (major === NEEDED[0] && minor >= NEEDED[1]);

/**
 * Those through which no records flow. With a limit for trimming, malloc maps large blocks by themselves and gives them back when they are freed; without one it
 * learns from the first to keep their like, between what stays: 10 to 20 MB more after 500 connectors in six minutes, measured.
 */
const RECORDLESS = ['config-service', 'scheduler', 'gateway'];
/** Commands that run for long: their memory is worth a few milliseconds more at the start. */
const LONG_RUNNING = ['standalone', 'task-runner', ...RECORDLESS];

if (fits) {
  cacheCompiledCode();
  if (LONG_RUNNING.includes(process.argv[2] ?? '')) saveMemory(process.argv[2]);
  const { main } = await import('../main.ts');
  await main(process.argv.slice(2));
} else {
  const node = bundledNode();
  if (node === undefined || process.env.ROCKETMQ_CONNECT_HANDED_OVER) {
    process.stderr.write(
      `rocketmq-connect needs Node.js ${NEEDED.join('.')} or newer, this is ${process.versions.node}, and npm brought none for ${process.platform}-${process.arch}.\n` +
        'Install Node.js 24 and try again.\n',
    );
    process.exit(1);
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, ROCKETMQ_CONNECT_HANDED_OVER: '1' },
  });
  // A terminal sends Ctrl-C to both; what is sent to this process alone is passed on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
}

/**
 * Keeps what Node makes of TypeScript beside the installed packages: the next start is faster, and each thread that need not load the
 * type stripper saves some 25 MB. The variable hands it on to worker threads.
 */
function cacheCompiledCode() {
  const modules = fileURLToPath(new URL('../../node_modules', import.meta.url));
  if (process.env.NODE_COMPILE_CACHE !== undefined || !existsSync(modules)) return;
  process.env.NODE_COMPILE_CACHE = join(modules, '.cache', 'rocketmq-connect');
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE);
}

/**
 * Starts this process anew, in place, with one malloc arena (threads otherwise keep one each, half empty) and a small nursery: some 40 MB
 * less on a small mesh, measured. Only where the platform can replace a process.
 */
function saveMemory(command) {
  if (process.execve === undefined || process.platform !== 'linux' || process.env.MALLOC_ARENA_MAX !== undefined) return;
  const flags = process.execArgv.some((flag) => flag.includes('semi-space')) ? [] : ['--max-semi-space-size=1'];
  process.execve(process.execPath, [process.execPath, ...flags, ...process.execArgv, ...process.argv.slice(1)], {
    ...(RECORDLESS.includes(command) ? { MALLOC_TRIM_THRESHOLD_: '131072' } : {}),
    ...process.env,
    MALLOC_ARENA_MAX: '1',
  });
}

/** The Node that npm installed beside this package as an optional dependency, or undefined. */
function bundledNode() {
  const os = process.platform === 'win32' ? 'win' : process.platform;
  try {
    const manifest = module.createRequire(import.meta.url).resolve(`node-${os}-${process.arch}/package.json`);
    return join(dirname(manifest), 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  } catch {
    return undefined;
  }
}
