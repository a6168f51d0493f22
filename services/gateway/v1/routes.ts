import type { Endpoints, Rpc } from '@rocketmq-connect/mesh';
import type { Route } from '../route.ts';

export function apiRoutes(_rpc: Rpc, _endpoints: Readonly<Record<'config' | 'scheduler' | 'runner', Endpoints>>): readonly Route[] {
  return [];
}
