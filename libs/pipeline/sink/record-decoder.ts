import type { FetchedMessages } from '@rocketmq-connect/message-log';
import { decodeFetched, visitMessages } from '@rocketmq-connect/message-log/message';
import { visitStoredMessages } from '@rocketmq-connect/message-log/stored-message';
import type { Header, SinkRecord } from '@rocketmq-connect/sdk';
import { TRACEPARENT, TRACEPARENT_BYTES } from '@rocketmq-connect/tracing/trace-context';
import type { FailedRecord, Stage } from '../errors.ts';
import { RecordProperties } from '../property-writer.ts';
import { copiedProperties, decodeProperties, encodeHeaders, traceparentBesideId } from '../record-properties.ts';
import type { Converters } from '../stages/converters.ts';
import type { TraceLinks } from '../tracing/trace-links.ts';
import type { TagFilter } from './tag-filter.ts';

/** A message that no converter takes, with the way to try again. */
export interface Undecoded {
  readonly index: number;
  readonly error: unknown;
  readonly failed: FailedRecord;
  readonly again: () => SinkRecord;
}

export interface Decoded {
  readonly records: (SinkRecord | null)[];
  readonly failures: readonly Undecoded[];
  /** How many are not wanted. */
  readonly filtered: number;
}

/** Messages in, records out. Bodies are slices of what was read: nothing is copied that no converter copies. */
export class RecordDecoder {
  readonly #converters: Converters;
  readonly #filter: TagFilter | null;
  readonly #links: TraceLinks | null;
  #stage: Stage = 'VALUE_CONVERTER';
  /** Messages of one batch carry the same trace: their records share its header. */
  readonly #traceparent = Buffer.alloc(TRACEPARENT_BYTES);
  #traceText = '';
  #traceHeaders: readonly Header[] = [];

  /** `links` is told the traces that messages carry; null: nobody traces. */
  constructor(converters: Converters, filter: TagFilter | null = null, links: TraceLinks | null = null) {
    this.#converters = converters;
    this.#filter = filter;
    this.#links = links;
  }

  /** One entry per message, in order; null where it failed or is not wanted. */
  decode(fetched: FetchedMessages): Decoded {
    const { queue, offset } = fetched;
    const records: (SinkRecord | null)[] = [];
    const failures: Undecoded[] = [];
    const { bytes } = fetched;
    const filter = this.#filter;
    let filtered = 0;
    visitFetched(fetched, (body, propertiesAt, propertiesEnd, index) => {
      if (filter !== null && !filter(bytes, propertiesAt, propertiesEnd)) {
        filtered++;
        records.push(null);
        return;
      }
      const origin = { topic: queue.topic, broker: queue.broker, queue: queue.queue, offset: offset + index };
      try {
        records.push(this.#record(body, bytes, propertiesAt, propertiesEnd, origin));
      } catch (error) {
        records.push(null);
        const properties = copiedProperties(bytes.toString('utf8', propertiesAt, propertiesEnd));
        const failed = { stage: this.#stage, topic: queue.topic, origin, body, properties };
        failures.push({ index, error, failed, again: () => this.#record(body, bytes, propertiesAt, propertiesEnd, origin) });
      }
    });
    return { records, failures, filtered };
  }

  /** A record that the sink or a transform refused, as its dead letter: the message it came from, if that is at hand. */
  failed(record: SinkRecord, stage: Stage, at: FetchedMessages | undefined): FailedRecord {
    const { origin } = record;
    const message = at === undefined ? undefined : messageAt(at, origin.offset - at.offset);
    return { stage, topic: origin.topic, origin, ...(message ?? this.#encode(record)) };
  }

  #record(body: Buffer, bytes: Buffer, propertiesAt: number, propertiesEnd: number, origin: SinkRecord['origin']): SinkRecord {
    const { topic } = origin;
    const traceAt = traceparentBesideId(bytes, propertiesAt, propertiesEnd);
    if (traceAt >= 0) {
      const headers = traceAt === 0 ? undefined : this.#traceOf(bytes, traceAt);
      this.#stage = 'VALUE_CONVERTER';
      const { schema, value } = this.#converters.value.toConnect(topic, body, headers);
      // An object per record and no more: what a spread makes on its way costs as much as all the rest.
      if (headers === undefined) return schema === undefined ? { topic, value, origin } : { topic, value, valueSchema: schema, origin };
      return schema === undefined ? { topic, value, headers, origin } : { topic, value, valueSchema: schema, headers, origin };
    }
    this.#stage = 'HEADER_CONVERTER';
    const decoded = decodeProperties(bytes, propertiesAt, propertiesEnd, this.#converters.header);
    const { key: keyBytes, timestamp, isNull, isEmpty, headers } = decoded;
    this.#links?.seeIn(headers);
    this.#stage = 'KEY_CONVERTER';
    const key = keyBytes === null ? undefined : this.#converters.key.toConnect(topic, keyBytes, headers);
    this.#stage = 'VALUE_CONVERTER';
    const { schema, value } = this.#converters.value.toConnect(topic, isNull ? null : isEmpty ? EMPTY : body, headers);
    return {
      topic,
      ...(key === undefined ? {} : { key: key.value, ...(key.schema === undefined ? {} : { keySchema: key.schema }) }),
      value,
      ...(schema === undefined ? {} : { valueSchema: schema }),
      ...(headers.length === 0 ? {} : { headers }),
      ...(timestamp === undefined ? {} : { timestamp }),
      origin,
    };
  }

  #traceOf(bytes: Buffer, at: number): readonly Header[] {
    const known = this.#traceparent;
    // Its end is what differs most: the span.
    for (let i = TRACEPARENT_BYTES - 1; i >= 0; i--) {
      if (bytes[at + i] === known[i]) continue;
      const value = Buffer.from(bytes.subarray(at, at + TRACEPARENT_BYTES));
      this.#stage = 'HEADER_CONVERTER';
      this.#traceHeaders = [{ name: TRACEPARENT, ...this.#converters.header.toConnect(TRACEPARENT, value) }];
      this.#traceText = value.toString('latin1');
      value.copy(known);
      break;
    }
    this.#links?.see(this.#traceText);
    return this.#traceHeaders;
  }

  #encode(record: SinkRecord): { body: Buffer; properties: string } {
    const { key: keyConverter, value: valueConverter, header } = this.#converters;
    const { topic, headers = [] } = record;
    const value = valueConverter.fromConnect(topic, record.valueSchema, record.value, headers);
    const hasKey = record.key !== undefined && record.key !== null;
    const key = hasKey ? keyConverter.fromConnect(topic, record.keySchema, record.key, headers) : null;
    const properties = new RecordProperties();
    properties.set(null, key, record.timestamp, value === null, encodeHeaders(headers, header));
    return { body: value ?? Buffer.alloc(0), properties: properties.copy().bytes.toString('utf8') };
  }
}

const EMPTY = Buffer.alloc(0);

function messageAt(fetched: FetchedMessages, index: number): { body: Buffer; properties: string } | undefined {
  let found: { body: Buffer; properties: string } | undefined;
  decodeFetched(fetched, (body, properties, at) => {
    if (at === index) found = { body, properties: copiedProperties(properties) };
  });
  return found;
}

/** Each message with where its properties lie, in either layout. */
function visitFetched(
  { bytes, layout }: FetchedMessages,
  visit: (body: Buffer, propertiesAt: number, propertiesEnd: number, index: number) => void,
): void {
  if (layout === 'stored') return visitStoredMessages(bytes, visit);
  visitMessages(bytes, (bodyAt, bodyEnd, propertiesAt, propertiesEnd, index) =>
    visit(bytes.subarray(bodyAt, bodyEnd), propertiesAt, propertiesEnd, index),
  );
}
