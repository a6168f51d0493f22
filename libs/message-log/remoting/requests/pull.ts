import type { Request } from '../connection.ts';
import { type Frame, numberField } from '../frame.ts';

/**
 * PULL_MESSAGE (broker). Fields: consumerGroup, topic, queueId, queueOffset, maxMsgNums, sysFlag (1 commit, 2 suspend, 4 subscription given),
 * commitOffset, suspendTimeoutMillis, subscription, subVersion, expressionType, maxMsgBytes, bname. Response: codes 0 found, 19 nothing
 * yet, 20 nothing that matches: go on at nextBeginOffset, 21 offset moved; fields nextBeginOffset, minOffset, maxOffset,
 * suggestWhichBrokerId; body: stored messages back to back.
 */
export const PULL = 11;
const SUSPEND = 2;
const SUBSCRIPTION = 4;

export interface PullRequest {
  readonly group: string;
  readonly topic: string;
  readonly broker: string;
  readonly queue: number;
  readonly offset: number;
  readonly maxCount: number;
  readonly maxBytes: number;
  /** How long the broker may hold the request while there is nothing; 0: it answers at once. */
  readonly suspendMs: number;
}

export function pullRequest(pull: PullRequest): Request {
  return {
    code: PULL,
    fields: {
      consumerGroup: pull.group,
      topic: pull.topic,
      queueId: pull.queue,
      queueOffset: pull.offset,
      maxMsgNums: pull.maxCount,
      sysFlag: SUBSCRIPTION | (pull.suspendMs > 0 ? SUSPEND : 0),
      commitOffset: 0,
      suspendTimeoutMillis: pull.suspendMs,
      subscription: '*',
      subVersion: 0,
      expressionType: 'TAG',
      maxMsgBytes: pull.maxBytes,
      bname: pull.broker,
    },
  };
}

export interface PullResponse {
  readonly nextOffset: number;
  readonly minOffset: number;
  readonly maxOffset: number;
  /** 0 the master; else the id of a slave that the broker suggests for the next pull. */
  readonly suggestedBroker: number;
  /** Stored messages back to back. */
  readonly body: Buffer;
}

export function parsePullResponse(frame: Frame): PullResponse {
  return {
    nextOffset: numberField(frame, 'nextBeginOffset'),
    minOffset: numberField(frame, 'minOffset'),
    maxOffset: numberField(frame, 'maxOffset'),
    suggestedBroker: frame.fields['suggestWhichBrokerId'] === undefined ? 0 : numberField(frame, 'suggestWhichBrokerId'),
    body: frame.body,
  };
}
