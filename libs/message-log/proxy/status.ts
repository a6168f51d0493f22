import { ConfigError, type ConnectError, DataError, FatalError, RetriableError } from '@rocketmq-connect/sdk';
import { denied } from '../denied.ts';
import { wire } from './wire.ts';

const { Code } = wire;

/** What an answer says of itself. */
export interface AnswerStatus {
  getCode(): number;
  getMessage(): string;
}

export function isOk(status: AnswerStatus | undefined): boolean {
  return status?.getCode() === Code.OK;
}

/**
 * What an answer that is not OK means in the error family. A message decides only where the code alone says too little: a proxy puts most of what
 * brokers say under INTERNAL_SERVER_ERROR.
 */
export function statusError(what: string, address: string, status: AnswerStatus | undefined): ConnectError {
  const code = status?.getCode() ?? Code.CODE_UNSPECIFIED;
  const message = status?.getMessage() ?? '';
  const text = `${what}: the proxy ${address} answered ${code}: ${message.split('\n')[0]?.slice(0, 300) ?? ''}`;
  switch (code) {
    case Code.TOPIC_NOT_FOUND:
      return new DataError(text, { code: 'TOPIC_NOT_FOUND', field: 'topic', remedy: 'Create the topic, or correct its name.' });
    case Code.ILLEGAL_TOPIC:
      return new ConfigError(text, {
        code: 'TOPIC_NAME_INVALID',
        field: 'topic',
        remedy: 'Use the characters A-Z a-z 0-9 _ % | - only, or rename by the RegexRouter transform.',
      });
    case Code.CONSUMER_GROUP_NOT_FOUND:
      return new ConfigError(text, {
        code: 'GROUP_NOT_FOUND',
        remedy: 'Create the consumer group (mqadmin updateSubGroup), or let the broker do it (autoCreateSubscriptionGroup=true).',
      });
    case Code.ILLEGAL_CONSUMER_GROUP:
      return new ConfigError(text, { code: 'GROUP_NAME_INVALID', field: 'name', remedy: 'Rename the connector.' });
    case Code.UNAUTHORIZED:
    case Code.FORBIDDEN:
    case Code.PAYMENT_REQUIRED:
      return denied(text, message);
    case Code.TOO_MANY_REQUESTS:
      return new RetriableError(text, { code: 'BROKER_BUSY', remedy: 'The broker is overloaded or limits the flow: it is tried again.' });
    case Code.PAYLOAD_TOO_LARGE:
    case Code.MESSAGE_BODY_TOO_LARGE:
      return tooLarge(text);
    case Code.MESSAGE_PROPERTIES_TOO_LARGE:
    case Code.REQUEST_HEADER_FIELDS_TOO_LARGE:
      return new DataError(text, {
        code: 'MESSAGE_PROPERTIES_TOO_LARGE',
        remedy: 'Drop or shorten headers by a transform: a proxy takes 128 properties of 16 KiB in all unless it is configured otherwise.',
      });
    case Code.ILLEGAL_DELIVERY_TIME:
      return new DataError(text, {
        code: 'DELAY_TOO_LONG',
        remedy: 'Use a shorter rocketmq.delay.ms, or raise maxDelayTimeMills of the proxy and timerMaxDelaySec of the broker.',
      });
    case Code.INVALID_RECEIPT_HANDLE:
      return new RetriableError(text, { code: 'HOLD_LAPSED' });
    case Code.MESSAGE_PROPERTY_CONFLICT_WITH_TYPE:
      return new DataError(text, {
        code: 'MESSAGE_TYPE_REFUSED',
        remedy: 'The topic takes messages of another type: see docs/rocketmq-proxy.md, "Topics".',
      });
    case Code.UNRECOGNIZED_CLIENT_TYPE:
      return new RetriableError(text, { code: 'SESSION_UNKNOWN' });
    case Code.NOT_IMPLEMENTED:
    case Code.UNSUPPORTED:
    case Code.VERSION_UNSUPPORTED:
      return new FatalError(text, { code: 'REQUEST_NOT_SUPPORTED', remedy: 'Use a proxy of RocketMQ 5.1 or newer.' });
    default:
      return byMessage(text, code, message);
  }
}

/** Whether what a proxy answered to a send leaves open that the messages are or will be stored. */
export function sendOutcomeIsOpen(error: ConnectError): boolean {
  return error.code === 'BROKER_ERROR';
}

const NO_PERMISSION = /no permission|is forbidden|not allowed/i;
const TOO_LARGE = /size exceeded|message is illegal|body.*(large|limit)/i;
const BUSY = /busy|flow control/i;

function byMessage(text: string, code: number, message: string): ConnectError {
  if (code >= Code.BAD_REQUEST && code < Code.INTERNAL_ERROR) return new DataError(text, { code: 'MESSAGE_REFUSED' });
  if (NO_PERMISSION.test(message)) return denied(text, message);
  if (TOO_LARGE.test(message)) return tooLarge(text);
  if (BUSY.test(message)) return new RetriableError(text, { code: 'BROKER_BUSY' });
  return new RetriableError(text, { code: 'BROKER_ERROR' });
}

function tooLarge(text: string): DataError {
  return new DataError(text, {
    code: 'MESSAGE_TOO_LARGE',
    remedy: "Send smaller batches (producer's batch.max.bytes) or records, or raise maxMessageSize of the proxy and the broker.",
  });
}
