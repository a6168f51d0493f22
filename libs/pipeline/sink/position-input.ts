import type { FetchedMessages, QueueLag, QueueReader } from '@rocketmq-connect/message-log';
import { PositionLostError } from '@rocketmq-connect/message-log/position-lost';
import { ConnectError } from '@rocketmq-connect/sdk';
import type { SinkInput, SinkInputOptions } from './sink-input.ts';
import { type QueuePosition, SinkPositions, TOPIC_ANEW } from './sink-positions.ts';

/** The queues of this task, read from positions that are committed with what the sink returned. */
export class PositionInput implements SinkInput {
  readonly empty: boolean;
  readonly acknowledges = false;
  readonly #options: SinkInputOptions;
  readonly #positions: SinkPositions;
  #reader: QueueReader | null = null;

  constructor(options: SinkInputOptions) {
    this.empty = options.queues.length === 0;
    this.#options = options;
    this.#positions = new SinkPositions(options.queues, options.positions);
  }

  async read(maxBytes: number, waitMs: number, signal: AbortSignal): Promise<readonly FetchedMessages[]> {
    const { log, group } = this.#options;
    for (;;) {
      try {
        this.#reader ??= await log.assign(group, await this.#positions.start(log, this.#options));
        return await this.#reader.read(maxBytes, waitMs, signal);
      } catch (error) {
        if (!(error instanceof PositionLostError) || !(await this.#skips(error))) throw mayComeBack(error);
      }
    }
  }

  lags(): readonly QueueLag[] | null {
    return this.#reader?.lags() ?? null;
  }

  reach({ queue, offset }: FetchedMessages, count: number): void {
    this.#positions.reach(queue, offset + count);
  }

  put(): void {
    this.#positions.put();
  }

  freeze(): readonly QueuePosition[] {
    return this.#positions.freeze();
  }

  /** For the tools of the log only: nothing is lost when it fails. */
  async committed(): Promise<void> {
    const { log, group, logger } = this.#options;
    for (const { queue, position } of this.#positions.committed()) {
      await log.mirrorPosition(group, queue, position).catch((error: Error) => {
        logger.debug('a position was not mirrored', { ...queue, error: error.message });
      });
    }
  }

  pause(): void {}

  async close(): Promise<void> {
    const reader = this.#reader;
    this.#reader = null;
    await reader?.close();
  }

  async #skips(error: PositionLostError): Promise<boolean> {
    const { settings, counters, logger, log } = this.#options;
    if (settings.positionOutOfRange === 'fail' || this.#reader === null) return false;
    const { queue, position, resumeAt } = error;
    if (error.code === 'POSITION_ABOVE_MAXIMUM') {
      logger.warn(TOPIC_ANEW, { ...queue, position });
      this.#reader.seek(queue, await log.minOffset(queue));
      return true;
    }
    if (resumeAt <= position) return false;
    const missed = resumeAt - position;
    logger.warn(`${missed} messages were removed from the log before this sink read them`, { ...queue, position });
    counters.polled += missed;
    counters.skipped += missed;
    this.#reader.seek(queue, resumeAt);
    return true;
  }
}

/** A topic that is deleted under a sink may be created again: the task is restarted until it is there, or until the plan has noticed. */
function mayComeBack(error: unknown): unknown {
  if (!(error instanceof ConnectError) || (error.code !== 'TOPIC_NOT_FOUND' && error.code !== 'QUEUE_NOT_FOUND')) return error;
  const { message, code, field } = error;
  const remedy = 'Create it again, and the sink goes on by itself.';
  return new ConnectError('unavailable', message, { code, ...(field === undefined ? {} : { field }), remedy, cause: error });
}
