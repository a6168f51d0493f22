import { ConnectError, DataError, FatalError, RetriableError } from '@rocketmq-connect/sdk';
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
  queryNotFound: 22,
} as const;

/** What a response that is no success means in the error family. */
export function responseError(what: string, address: string, frame: Frame): ConnectError {
  const text = `${what}: ${address} answered ${frame.code}: ${shortRemark(frame.remark)}`;
  switch (frame.code) {
    case ResponseCode.systemBusy:
      return new RetriableError(text, { code: 'BROKER_BUSY', remedy: 'the broker is overloaded or limits the flow: it is tried again' });
    case ResponseCode.serviceNotAvailable:
      return new RetriableError(text, {
        code: 'BROKER_UNAVAILABLE',
        remedy: 'the broker is starting, stopping, full or a slave: it is tried again',
      });
    case ResponseCode.noPermission:
      return new ConnectError('denied', text, {
        code: 'BROKER_NO_PERMISSION',
        remedy: 'grant the access key this topic and group, or the topic its permission',
      });
    case ResponseCode.topicNotExist:
      return new DataError(text, { code: 'TOPIC_NOT_FOUND', remedy: 'create the topic, or let topic.creation.enable do it' });
    case ResponseCode.messageIllegal:
      return new DataError(text, {
        code: 'MESSAGE_ILLEGAL',
        remedy: 'the message is too large or has a topic name or properties that the broker refuses',
      });
    case ResponseCode.requestCodeNotSupported:
    case ResponseCode.versionNotSupported:
      return new FatalError(text, { code: 'BROKER_TOO_OLD', remedy: 'use RocketMQ 4.4 or newer' });
    case ResponseCode.systemError:
      if (/signature|access ?key|acl/i.test(frame.remark)) {
        return new ConnectError('denied', text, { code: 'BROKER_NO_PERMISSION', remedy: 'check the access key and secret key' });
      }
      return new RetriableError(text, { code: 'BROKER_ERROR' });
    default:
      return new RetriableError(text, { code: `BROKER_${frame.code}` });
  }
}

/** Java puts a stack trace and a link into the remark; the first line says what happened. */
function shortRemark(remark: string): string {
  return remark.split('\n')[0]?.slice(0, 300) ?? '';
}
