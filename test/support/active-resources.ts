import { appendFileSync } from 'node:fs';
import { threadId } from 'node:worker_threads';

/**
 * Loaded into each thread of a process by `NODE_OPTIONS=--import`: notes every few seconds what keeps the thread's event loop busy (timers, sockets,
 * requests), as a line of JSON in the file that ACTIVE_RESOURCES_FILE names.
 */
const file = process.env['ACTIVE_RESOURCES_FILE'];
if (file !== undefined) {
  const note = (): void => {
    const counts: Record<string, number> = {};
    for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
    appendFileSync(file, `${JSON.stringify({ pid: process.pid, threadId, atMs: Date.now(), counts })}\n`);
  };
  setInterval(note, 10_000).unref();
}
