import { gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { FatalError } from '@rocketmq-connect/sdk';
import type { FetchedMessages, QueueAddress } from '../index.ts';
import { decompressLz4 } from '../lz4.ts';
import { BatchBuilder, encodeProperty, PropertyName } from '../message.ts';
import { escapedProperty } from './outgoing.ts';
import { wire } from './wire.ts';

type WireMessage = InstanceType<typeof wire.Message>;

/** By what a message is acknowledged. */
export interface Receipt {
  readonly messageId: string;
  readonly handle: string;
}

/** Consecutive messages of one queue, with the receipt of each. */
export interface Received {
  readonly fetched: FetchedMessages;
  readonly receipts: readonly Receipt[];
}

/**
 * What a proxy delivered, in its order. What is delivered again comes out of a retry topic with positions of its own, so its broker is
 * given another name: no two messages have the same place.
 */
export function receivedMessages(topic: string, broker: string, messages: readonly WireMessage[]): Received[] {
  const received: Received[] = [];
  const builder = new BatchBuilder();
  let queue: QueueAddress | null = null;
  let offset = 0;
  let storedAtMs = 0;
  let receipts: Receipt[] = [];
  const end = (): void => {
    if (queue === null) return;
    received.push({ fetched: { queue, offset, ...builder.take(), layout: 'batch', storedAtMs }, receipts });
    receipts = [];
  };
  for (const message of messages) {
    const system = message.getSystemProperties();
    if (system === undefined) continue;
    const from = (system.getDeliveryAttempt() ?? 1) > 1 ? broker + RETRY : broker;
    const id = system.getQueueId();
    const at = system.getQueueOffset() ?? 0;
    if (queue === null || queue.broker !== from || queue.queue !== id || offset + receipts.length !== at) {
      end();
      queue = { topic, broker: from, queue: id };
      offset = at;
      const stored = system.getStoreTimestamp();
      storedAtMs = stored === undefined ? 0 : stored.getSeconds() * 1000 + Math.floor(stored.getNanos() / 1e6);
    }
    builder.add(bodyOf(message, system.getMessageId()), propertiesOf(message));
    receipts.push({ messageId: system.getMessageId(), handle: system.getReceiptHandle() ?? '' });
  }
  end();
  return received;
}

function propertiesOf(message: WireMessage): string {
  const system = message.getSystemProperties();
  const keys = system?.getKeysList() ?? [];
  const tag = system?.getTag() ?? '';
  const group = system?.getMessageGroup() ?? '';
  let text = keys.length === 0 ? '' : encodeProperty(PropertyName.keys, keys.join(' '));
  if (tag !== '') text += encodeProperty(PropertyName.tags, tag);
  if (group !== '') text += encodeProperty(PropertyName.group, group);
  message.getUserPropertiesMap().forEach((value: string, name: string) => {
    const escaped = escapedProperty(name);
    if (escaped !== null) text += encodeProperty(escaped, Buffer.from(value, 'base64').toString());
    else if (name !== PropertyName.emptyBody) text += encodeProperty(name, value);
  });
  return text;
}

function bodyOf(message: WireMessage, messageId: string): Buffer {
  if (message.getUserPropertiesMap().has(PropertyName.emptyBody)) return EMPTY;
  const bytes = message.getBody_asU8();
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (message.getSystemProperties()?.getBodyEncoding() !== wire.Encoding.GZIP) return body;
  try {
    return decompress(body);
  } catch (error) {
    throw new FatalError(`the body of message ${messageId} (${body.length} bytes) cannot be decompressed`, {
      code: 'MESSAGE_COMPRESSION',
      remedy: 'Skip it by mqadmin (skipAccumulatedMessage, resetOffsetByTime), or have its producer send it anew.',
      cause: error,
    });
  }
}

/** Proxies say GZIP of whatever producers compressed by: the first bytes tell. */
function decompress(body: Buffer): Buffer {
  const options = { maxOutputLength: BODY_BYTES_MAX };
  if (body.length >= 4) {
    if (body.readUInt16BE(0) === 0x1f8b) return gunzipSync(body, options);
    if (body.readUInt32BE(0) === 0x28b52ffd) return zstdDecompressSync(body, options);
    if (body.readUInt32BE(0) === 0x04224d18) return decompressLz4(body, BODY_BYTES_MAX);
  }
  return inflateSync(body, options);
}

const RETRY = '%RETRY';
const EMPTY = Buffer.alloc(0);
const BODY_BYTES_MAX = 64 * 1024 * 1024;
