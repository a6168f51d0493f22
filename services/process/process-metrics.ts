import { readdirSync, readFileSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import type { MetricSource } from '@rocketmq-connect/telemetry/metrics/registry';

const BEAT_MS = 200;
const BEATS_PER_WINDOW = 5;

/** What every process tells of itself: CPU, memory, files, and how late its event loop is. */
export class ProcessMetrics {
  readonly #timer: NodeJS.Timeout;
  #beats = 0;
  #dueMs = performance.now() + BEAT_MS;
  #latestMs = 0;
  #shownMs = 0;

  constructor() {
    this.#timer = setInterval(() => this.#beat(), BEAT_MS).unref();
  }

  readonly source: MetricSource = (emit) => {
    const { user, system } = process.cpuUsage();
    emit('process_cpu_seconds_total', {}, (user + system) / 1e6);
    emit('process_resident_memory_bytes', {}, process.memoryUsage.rss());
    emit('process_start_time_seconds', {}, performance.timeOrigin / 1000);
    for (const [name, value] of Object.entries(files())) emit(name as keyof ReturnType<typeof files>, {}, value);
    // A loop that is blocked now has not told how long yet.
    emit('rocketmq_connect_event_loop_delay_seconds', { host: 'main' }, Math.max(this.#shownMs, performance.now() - this.#dueMs, 0) / 1000);
    emit('rocketmq_connect_heap_bytes', { host: 'main' }, getHeapStatistics().used_heap_size);
  };

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    this.#latestMs = Math.max(this.#latestMs, performance.now() - this.#dueMs);
    this.#dueMs = performance.now() + BEAT_MS;
    if (++this.#beats % BEATS_PER_WINDOW !== 0) return;
    this.#shownMs = this.#latestMs;
    this.#latestMs = 0;
  }
}

/** Where the system tells. */
function files(): { readonly process_open_fds?: number; readonly process_max_fds?: number } {
  try {
    const [, max] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return { process_open_fds: readdirSync('/proc/self/fd').length, ...(max === undefined ? {} : { process_max_fds: Number(max) }) };
  } catch {
    return {};
  }
}
