import type { Request } from '../connection.ts';
import type { Frame } from '../frame.ts';
import { parseJavaJson } from './route.ts';

/**
 * UPDATE_AND_CREATE_TOPIC 17 (broker): topic, defaultTopic, readQueueNums, writeQueueNums, perm, topicFilterType, topicSysFlag, order,
 * attributes (5.x: `+name=value`, comma-separated). GET_TOPIC_CONFIG 351 (broker, 5.x): topic; body {attributes: {name: value}, …}.
 * DELETE_TOPIC_IN_BROKER 215 (topic), DELETE_TOPIC_IN_NAMESRV 216 (topic), GET_ALL_TOPIC_LIST_FROM_NAMESERVER 206: body
 * {topicList}. GET_BROKER_CLUSTER_INFO 106: body {brokerAddrTable: {name: {brokerAddrs}},
 * clusterAddrTable: {cluster: [names]}}.
 */
export const TopicRequest = { create: 17, cluster: 106, list: 206, deleteInBroker: 215, deleteInNameServer: 216, config: 351 } as const;
const READ_AND_WRITE = 6;

export function createTopicRequest(
  topic: string,
  queues: { readonly read: number; readonly write: number },
  permission = READ_AND_WRITE,
  attributes: Readonly<Record<string, string>> = {},
): Request {
  const added = Object.entries(attributes).map(([name, value]) => `+${name}=${value}`);
  return {
    code: TopicRequest.create,
    fields: {
      topic,
      defaultTopic: 'TBW102',
      readQueueNums: queues.read,
      writeQueueNums: queues.write,
      perm: permission,
      topicFilterType: 'SINGLE_TAG',
      topicSysFlag: 0,
      order: false,
      force: false,
      ...(added.length === 0 ? {} : { attributes: added.join(',') }),
    },
  };
}

export function topicConfigRequest(topic: string): Request {
  return { code: TopicRequest.config, fields: { topic } };
}

export function parseTopicAttributes(frame: Frame): Readonly<Record<string, string>> {
  return (parseJavaJson(frame.body) as { attributes?: Record<string, string> }).attributes ?? {};
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

export interface ClusterInfo {
  /** Broker name → address of its master. */
  readonly masters: ReadonlyMap<string, string>;
  readonly clusters: readonly string[];
}

export function parseCluster(frame: Frame): ClusterInfo {
  const { brokerAddrTable, clusterAddrTable } = parseJavaJson(frame.body) as {
    brokerAddrTable?: Record<string, { brokerAddrs: Record<string, string> }>;
    clusterAddrTable?: Record<string, unknown>;
  };
  return {
    masters: new Map(
      Object.entries(brokerAddrTable ?? {}).flatMap(([name, { brokerAddrs }]): [string, string][] =>
        brokerAddrs['0'] === undefined ? [] : [[name, brokerAddrs['0']]],
      ),
    ),
    clusters: Object.keys(clusterAddrTable ?? {}),
  };
}
