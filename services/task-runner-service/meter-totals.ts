import type { LogMeters, TaskHistograms, TaskMeters } from '@rocketmq-connect/pipeline/host-protocol';
import { addHistogram, type Histogram } from '@rocketmq-connect/telemetry/metrics/histogram';

export const noMeters: TaskMeters = {
  recordErrors: {},
  recordFailures: 0,
  errorsLogged: 0,
  deadLetterRequests: 0,
  deadLetterFailures: 0,
  lastErrorAtMs: 0,
  histograms: {},
  queueLags: [],
  partitionLags: [],
};

export const noLogMeters: LogMeters = { requests: {}, durations: {}, inFlight: 0, connections: 0 };

/** What was measured before and what is measured now: counts add up, the rest is as it is now. */
export function sumOfMeters(before: TaskMeters, now: TaskMeters): TaskMeters {
  return {
    recordErrors: sumOfCounts(before.recordErrors, now.recordErrors),
    recordFailures: before.recordFailures + now.recordFailures,
    errorsLogged: before.errorsLogged + now.errorsLogged,
    deadLetterRequests: before.deadLetterRequests + now.deadLetterRequests,
    deadLetterFailures: before.deadLetterFailures + now.deadLetterFailures,
    lastErrorAtMs: Math.max(before.lastErrorAtMs, now.lastErrorAtMs),
    histograms: sumOfHistograms(
      before.histograms as Readonly<Record<string, Histogram>>,
      now.histograms as Readonly<Record<string, Histogram>>,
    ) as TaskHistograms,
    queueLags: now.queueLags,
    partitionLags: now.partitionLags,
  };
}

export function sumOfLogMeters(before: LogMeters, now: LogMeters): LogMeters {
  return {
    requests: sumOfCounts(before.requests, now.requests),
    durations: sumOfHistograms(before.durations, now.durations),
    inFlight: before.inFlight + now.inFlight,
    connections: before.connections + now.connections,
  };
}

function sumOfCounts(before: Readonly<Record<string, number>>, now: Readonly<Record<string, number>>): Record<string, number> {
  const sum = { ...before };
  for (const [name, count] of Object.entries(now)) sum[name] = (sum[name] ?? 0) + count;
  return sum;
}

function sumOfHistograms(before: Readonly<Record<string, Histogram>>, now: Readonly<Record<string, Histogram>>): Record<string, Histogram> {
  const sum: Record<string, Histogram> = { ...before };
  for (const [name, counts] of Object.entries(now)) {
    const added = counts.slice();
    const present = sum[name];
    if (present !== undefined) addHistogram(added, present);
    sum[name] = added;
  }
  return sum;
}
