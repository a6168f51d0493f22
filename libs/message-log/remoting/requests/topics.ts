import type { Request } from '../connection.ts';
import type { Frame } from '../frame.ts';
import { parseJavaJson } from './route.ts';

/**
 * UPDATE_AND_CREATE_TOPIC 17 (broker): topic, defaultTopic, readQueueNums, writeQueueNums, perm, topicFilterType, topicSysFlag, order,
 * attributes. DELETE_TOPIC_IN_BROKER 215 (topic), DELETE_TOPIC_IN_NAMESRV 216 (topic), GET_ALL_TOPIC_LIST_FROM_NAMESERVER 206: body
 * {topicList}. GET_BROKER_CLUSTER_INFO 106: body {brokerAddrTable: {name: {brokerAddrs}}}.
 */
export const TopicRequest = { create: 17, cluster: 106, list: 206, deleteInBroker: 215, deleteInNameServer: 216 } as const;
const READ_AND_WRITE = 6;

export function createTopicRequest(topic: string, queues: number, attributes: string): Request {
  return {
    code: TopicRequest.create,
    fields: {
      topic,
      defaultTopic: 'TBW102',
      readQueueNums: queues,
      writeQueueNums: queues,
      perm: READ_AND_WRITE,
      topicFilterType: 'SINGLE_TAG',
      topicSysFlag: 0,
      order: false,
      attributes,
      force: false,
    },
  };
}

export function deleteTopicInBrokerRequest(topic: string): Request {
  return { code: TopicRequest.deleteInBroker, fields: { topic } };
}

export function deleteTopicInNameServerRequest(topic: string): Request {
  return { code: TopicRequest.deleteInNameServer, fields: { topic } };
}

export function listTopicsRequest(): Request {
  return { code: TopicRequest.list, fields: {} };
}

export function parseTopicList(frame: Frame): readonly string[] {
  return (parseJavaJson(frame.body) as { topicList?: string[] }).topicList ?? [];
}

export function clusterRequest(): Request {
  return { code: TopicRequest.cluster, fields: {} };
}

/** Name → address of each master. */
export function parseMasters(frame: Frame): ReadonlyMap<string, string> {
  const { brokerAddrTable } = parseJavaJson(frame.body) as { brokerAddrTable?: Record<string, { brokerAddrs: Record<string, string> }> };
  return new Map(
    Object.entries(brokerAddrTable ?? {}).flatMap(([name, { brokerAddrs }]) =>
      brokerAddrs['0'] === undefined ? [] : [[name, brokerAddrs['0']]],
    ),
  );
}
