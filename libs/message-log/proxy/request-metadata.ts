import { createHmac, randomUUID } from 'node:crypto';
import { Metadata } from '@grpc/grpc-js';
import type { Credentials } from '../remoting/signature.ts';

/** The version of the protocol's clients that this one behaves like; proxies look at it. */
const CLIENT_VERSION = '5.0.8';

/**
 * What each request says of its sender (https://github.com/apache/rocketmq-clients/blob/master/docs/transport.md). The signature is HMAC-SHA1
 * over the time of the request.
 */
export function requestMetadata(clientId: string, nowMs: number, credentials: Credentials | undefined): Metadata {
  const metadata = new Metadata();
  const dateTime = `${new Date(nowMs).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
  metadata.set('x-mq-protocol', 'v2');
  metadata.set('x-mq-client-id', clientId);
  metadata.set('x-mq-date-time', dateTime);
  metadata.set('x-mq-request-id', randomUUID());
  // One that proxies know; they refuse others.
  metadata.set('x-mq-language', 'HTTP');
  metadata.set('x-mq-client-version', CLIENT_VERSION);
  if (credentials === undefined) return metadata;
  if (credentials.securityToken !== undefined) metadata.set('x-mq-session-token', credentials.securityToken);
  const signature = createHmac('sha1', credentials.secretKey).update(dateTime).digest('hex').toUpperCase();
  metadata.set('authorization', `MQv2-HMAC-SHA1 Credential=${credentials.accessKey}, SignedHeaders=x-mq-date-time, Signature=${signature}`);
  return metadata;
}
