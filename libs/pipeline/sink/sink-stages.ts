import type { FetchedMessages } from '@rocketmq-connect/message-log';
import type { SinkRecord } from '@rocketmq-connect/sdk';
import type { ErrorPlace, FailedRecord } from '../errors.ts';
import type { TaskCounters } from '../host-protocol.ts';
import type { TransformChain } from '../stages/chain.ts';
import type { RecordDecoder, Undecoded } from './record-decoder.ts';

export interface SinkStagesOptions {
  readonly decoder: RecordDecoder;
  readonly chain: TransformChain;
  readonly errors: ErrorPlace;
  readonly counters: TaskCounters;
}

/** From messages to the records of the next put: converters and transforms. Synchronous where no transform and no error waits. */
export class SinkStages {
  readonly #options: SinkStagesOptions;
  #records: SinkRecord[] = [];
  #messages = 0;

  constructor(options: SinkStagesOptions) {
    this.#options = options;
  }

  /** Collected for the next put. */
  get records(): readonly SinkRecord[] {
    return this.#records;
  }

  /** Hands out what was collected, and of how many messages it was made. */
  collected(): { readonly records: readonly SinkRecord[]; readonly messages: number } {
    const collected = { records: this.#records, messages: this.#messages };
    this.#records = [];
    this.#messages = 0;
    return collected;
  }

  /** One entry per message; null where it is not wanted, or failed, which is settled then. */
  async decode(messages: FetchedMessages): Promise<readonly (SinkRecord | null)[]> {
    const { decoder, counters } = this.#options;
    const { records, failures, filtered } = decoder.decode(messages);
    counters.filtered += filtered;
    counters.inFlight -= filtered;
    for (const failure of failures) records[failure.index] = await this.#decodeAgain(failure);
    return records;
  }

  /** Transforms one decoded record and collects what comes of it. */
  take(record: SinkRecord | null, at: FetchedMessages): undefined | Promise<void> {
    const { chain } = this.#options;
    if (record === null) return undefined;
    if (chain.empty) {
      this.#records.push(record);
      this.#messages++;
      return undefined;
    }
    try {
      const outcome = chain.apply(record);
      if (!(outcome instanceof Promise)) {
        this.#collect(outcome);
        return undefined;
      }
      return outcome.then(
        (later) => this.#collect(later),
        (error) => this.#transformAgain(error, record, at),
      );
    } catch (error) {
      return this.#transformAgain(error, record, at);
    }
  }

  async #decodeAgain({ error, failed, again }: Undecoded): Promise<SinkRecord | null> {
    try {
      return await this.#options.errors.retry(error, again);
    } catch (last) {
      await this.#settle(last, failed);
      return null;
    }
  }

  async #transformAgain(first: unknown, record: SinkRecord, at: FetchedMessages): Promise<void> {
    const { errors, chain, decoder } = this.#options;
    try {
      this.#collect(await errors.retry(first, async () => chain.apply(record)));
    } catch (error) {
      await this.#settle(error, decoder.failed(record, 'TRANSFORMATION', at));
    }
  }

  #collect(outcome: SinkRecord | null | readonly SinkRecord[]): void {
    const { counters } = this.#options;
    if (outcome === null || (isList(outcome) && outcome.length === 0)) {
      counters.filtered++;
      counters.inFlight--;
      return;
    }
    if (isList(outcome)) this.#records.push(...outcome);
    else this.#records.push(outcome);
    this.#messages++;
  }

  async #settle(error: unknown, failed: FailedRecord): Promise<void> {
    const { errors, counters } = this.#options;
    counters[await errors.settle(error, failed)]++;
    counters.inFlight--;
  }
}

function isList(outcome: SinkRecord | readonly SinkRecord[]): outcome is readonly SinkRecord[] {
  return Array.isArray(outcome);
}
