import type { WatchResponse } from '@rocketmq-connect/proto/connector';
import type { ConfigContext } from './context.ts';

export async function* watchConnectors(_: ConfigContext, __: AbortSignal): AsyncIterable<WatchResponse> {}
