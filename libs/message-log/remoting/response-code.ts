import { ConfigError, type ConnectError, DataError, FatalError, RetriableError } from '@rocketmq-connect/sdk';
import { denied } from '../denied.ts';
import type { Frame } from './frame.ts';

/** Response codes that decide something (org.apache.rocketmq.remoting.protocol.ResponseCode). */
export const ResponseCode = {
  success: 0,
  systemError: 1,
  systemBusy: 2,
  requestCodeNotSupported: 3,
  flushDiskTimeout: 10,
  slaveNotAvailable: 11,
  flushSlaveTimeout: 12,
  messageIllegal: 13,
  serviceNotAvailable: 14,
  versionNotSupported: 15,
  noPermission: 16,
  topicNotExist: 17,
  pullNotFound: 19,
  pullRetryImmediately: 20,
  pullOffsetMoved: 21,
  subscriptionGroupNotExist: 26,
  invalidParameter: 29,
  flowControl: 215,
  goAway: 1500,
} as const;

/**
 * What a response that is no success means in the error family. A remark decides only where the code alone says too little: brokers
 * put many things under `systemError`.
 */
export function responseError(what: string, address: string, frame: Frame): ConnectError {
  const text = `${what}: ${address} answered ${frame.code}: ${shortRemark(frame.remark)}`;
  switch (frame.code) {
    case ResponseCode.systemBusy:
    case ResponseCode.flowControl:
      return new RetriableError(text, { code: 'BROKER_BUSY', remedy: 'The broker is overloaded or limits the flow: it is tried again.' });
    case ResponseCode.serviceNotAvailable:
    case ResponseCode.goAway:
      return new RetriableError(text, {
        code: 'BROKER_UNAVAILABLE',
        remedy: 'The broker is starting, stopping, full, or a slave: it is tried again.',
      });
    case ResponseCode.noPermission:
      return denied(text, frame.remark);
    case ResponseCode.topicNotExist:
      return new DataError(text, { code: 'TOPIC_NOT_FOUND', field: 'topic', remedy: 'Create the topic, or correct its name.' });
    case ResponseCode.subscriptionGroupNotExist:
      return new ConfigError(text, {
        code: 'GROUP_NOT_FOUND',
        remedy: 'Create the consumer group (mqadmin updateSubGroup), or let the broker do it (autoCreateSubscriptionGroup=true).',
      });
    case ResponseCode.messageIllegal:
      if (DELAY.test(frame.remark)) {
        return new DataError(text, {
          code: 'DELAY_TOO_LONG',
          field: 'rocketmq.delay.ms',
          remedy: 'Delay by less, or raise timerMaxDelaySec of the broker.',
        });
      }
      return tooLarge(text);
    case ResponseCode.invalidParameter:
      if (NO_QUEUE.test(frame.remark)) return noQueue(text);
      return new ConfigError(text, { code: 'BROKER_REFUSED' });
    case ResponseCode.requestCodeNotSupported:
    case ResponseCode.versionNotSupported:
      return new FatalError(text, {
        code: 'REQUEST_NOT_SUPPORTED',
        remedy: 'Use RocketMQ 4.4 or newer; what creates, lists and deletes topics needs the name server itself, not a proxy.',
      });
    case ResponseCode.systemError:
      if (NOT_ALLOWED.test(frame.remark)) return denied(text, frame.remark);
      if (TOO_LARGE.test(frame.remark)) return tooLarge(text);
      if (NO_QUEUE.test(frame.remark)) return noQueue(text);
      if (NO_DELAY.test(frame.remark)) {
        return new ConfigError(text, {
          code: 'DELAY_NOT_SUPPORTED',
          field: 'rocketmq.delay.ms',
          remedy: 'Set timerWheelEnable=true in the broker.',
        });
      }
      if (BUSY.test(frame.remark)) return new RetriableError(text, { code: 'BROKER_BUSY' });
      return new RetriableError(text, { code: 'BROKER_ERROR' });
    default:
      return new RetriableError(text, { code: `BROKER_${frame.code}` });
  }
}

/** Whether what a broker answered to a send leaves open that the batch is or will be stored. */
export function sendOutcomeIsOpen(error: ConnectError, frame: Frame): boolean {
  // A proxy answers so when its own request to the broker ran into a time-out.
  return error.code === 'BROKER_ERROR' && !NOT_STORED.test(frame.remark);
}

const NOT_ALLOWED = /signature|access ?key|AclException|authenticat|authoriz|no permission/i;
const NO_QUEUE = /queueId\[-?\d+\] is illegal/;
const TOO_LARGE = /size exceeded|message is illegal|body.*(large|limit)/i;
const DELAY = /timer message illegal/;
const NO_DELAY = /timer message is not enabled/;
const BUSY = /busy|flow control/i;
const NOT_STORED = /replicas not enough|create mapped file failed|UNKNOWN_ERROR|LMQ_CONSUME_QUEUE/;

function noQueue(text: string): DataError {
  return new DataError(text, { code: 'QUEUE_NOT_FOUND', field: 'queue', remedy: 'Look the queues up anew with describeTopic.' });
}

function tooLarge(text: string): DataError {
  return new DataError(text, {
    code: 'MESSAGE_TOO_LARGE',
    remedy: "Send smaller batches (producer's batch.max.bytes) or records, or raise maxMessageSize of the broker.",
  });
}

/** Java puts a stack trace and a link into the remark; the first line says what happened. */
function shortRemark(remark: string): string {
  return remark.split('\n')[0]?.trim().slice(0, 300) ?? '';
}
