import { FileStreamSink } from '@rocketmq-connect/connector-file';
import { CommittedSink, SinkRun } from '@rocketmq-connect/sdk/testing';

/**
 * A process that puts numbered lines as fast as it can until it is killed, and tells its parent of each flush. The parent gives the
 * configuration and what is committed as JSON, and decides which flushes become commits.
 */
const { config, position, states } = JSON.parse(process.argv[2] ?? '');
const committed = new CommittedSink();
committed.set(position, states);
const run = await SinkRun.start(FileStreamSink, config, committed);
for (;;) {
  for (let puts = 0; puts < 10; puts += 1) await run.put(...Array.from({ length: 50 }, (_, index) => `line ${run.position + index}`));
  const frozen = await run.flush();
  process.send?.({ position: run.position, states: frozen });
}
