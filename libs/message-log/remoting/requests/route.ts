import { RetriableError } from '@rocketmq-connect/sdk';
import type { Request } from '../connection.ts';
import type { Frame } from '../frame.ts';

/**
 * GET_ROUTEINFO_BY_TOPIC (name server). Request: `topic`. Response body, JSON: `brokerDatas` [{brokerName, cluster, brokerAddrs {"0": master,
 * "1": slave …}}], `queueDatas` [{brokerName, readQueueNums, writeQueueNums, perm (4 read, 2 write)}]. Code 17: no such topic.
 */
export const GET_ROUTE = 105;
const PERM_READ = 4;
const PERM_WRITE = 2;
const MASTER = '0';

export interface TopicRoute {
  readonly brokers: readonly BrokerRoute[];
}

export interface BrokerRoute {
  readonly name: string;
  /** '' while the master is away. */
  readonly master: string;
  /** Ids and addresses of slaves. */
  readonly slaves: readonly { readonly id: number; readonly address: string }[];
  readonly readQueues: number;
  readonly writeQueues: number;
  /** 4 read, 2 write. */
  readonly permission: number;
}

export function routeRequest(topic: string): Request {
  return { code: GET_ROUTE, fields: { topic } };
}

export function parseRoute(frame: Frame): TopicRoute {
  const { brokerDatas, queueDatas } = parseJavaJson(frame.body) as {
    brokerDatas?: { brokerName: string; brokerAddrs: Record<string, string> }[];
    queueDatas?: { brokerName: string; readQueueNums: number; writeQueueNums: number; perm: number }[];
  };
  const addresses = new Map((brokerDatas ?? []).map((broker) => [broker.brokerName, broker.brokerAddrs]));
  const brokers = (queueDatas ?? []).map((queues): BrokerRoute => {
    const byId = Object.entries(addresses.get(queues.brokerName) ?? {});
    return {
      name: queues.brokerName,
      master: byId.find(([id]) => id === MASTER)?.[1] ?? '',
      slaves: byId
        .filter(([id]) => id !== MASTER)
        .map(([id, address]) => ({ id: Number(id), address }))
        .sort((a, b) => a.id - b.id),
      readQueues: (queues.perm & PERM_READ) === 0 ? 0 : queues.readQueueNums,
      writeQueues: (queues.perm & PERM_WRITE) === 0 ? 0 : queues.writeQueueNums,
      permission: queues.perm,
    };
  });
  return { brokers: brokers.sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

/** fastjson of older name servers writes numeric map keys without quotes. */
export function parseJavaJson(body: Buffer): unknown {
  const text = body.toString('utf8');
  for (const candidate of [text, text.replace(/([{,])\s*(-?\d+)\s*:/g, '$1"$2":')]) {
    try {
      const parsed: unknown = JSON.parse(candidate);
      if (typeof parsed === 'object' && parsed !== null) return parsed;
    } catch {
      // The second candidate, or the error below.
    }
  }
  throw new RetriableError(`the name server answered with what is no JSON: ${text.slice(0, 100)}`, { code: 'REMOTING_PROTOCOL' });
}
