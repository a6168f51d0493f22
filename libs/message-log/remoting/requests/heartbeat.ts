import type { Request } from '../connection.ts';

/**
 * HEART_BEAT 34 (broker): body, JSON: clientID, producerDataSet [{groupName}], consumerDataSet [{groupName, consumeType, messageModel,
 * consumeFromWhere, subscriptionDataSet [{topic, subString, subVersion, expressionType, tagsSet, codeSet}]}]. UNREGISTER_CLIENT 35: clientID,
 * producerGroup, consumerGroup. Makes groups visible to admin tools; nothing here depends on them.
 */
export const HeartbeatRequest = { beat: 34, unregister: 35 } as const;

export function heartbeatRequest(
  clientID: string,
  producerGroups: readonly string[],
  consumers: ReadonlyMap<string, ReadonlySet<string>>,
): Request {
  const body = {
    clientID,
    producerDataSet: producerGroups.map((groupName) => ({ groupName })),
    consumerDataSet: [...consumers].map(([groupName, topics]) => ({
      groupName,
      consumeType: 'CONSUME_ACTIVELY',
      messageModel: 'CLUSTERING',
      consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
      unitMode: false,
      subscriptionDataSet: [...topics].map((topic) => ({
        topic,
        subString: '*',
        subVersion: 0,
        expressionType: 'TAG',
        classFilterMode: false,
        tagsSet: [],
        codeSet: [],
      })),
    })),
  };
  return { code: HeartbeatRequest.beat, fields: {}, body: Buffer.from(JSON.stringify(body)) };
}

export function unregisterRequest(clientID: string, group: { readonly producer?: string; readonly consumer?: string }): Request {
  return {
    code: HeartbeatRequest.unregister,
    fields: {
      clientID,
      ...(group.producer === undefined ? {} : { producerGroup: group.producer }),
      ...(group.consumer === undefined ? {} : { consumerGroup: group.consumer }),
    },
  };
}
