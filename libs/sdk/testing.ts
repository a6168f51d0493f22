/**
 * For the tests of connectors: a runner in memory, and checks that any connector must pass. They know no test framework:
 *
 * ```ts
 * for (const check of sourceChecks({ definition: MySource, open: openMySystem })) it(check.name, check.run);
 * ```
 */

export type { Check } from './testing/check.ts';
export { typedConfig } from './testing/config.ts';
export type { LogLine } from './testing/context.ts';
export { between, seededRandom } from './testing/seeded-random.ts';
export { type SinkSubject, type SinkSubjects, sinkChecks } from './testing/sink-checks.ts';
export { CommittedSink, SinkRun } from './testing/sink-run.ts';
export { type SourceSubject, type SourceSubjects, sourceChecks } from './testing/source-checks.ts';
export { CommittedOffsets, SourceRun } from './testing/source-run.ts';
