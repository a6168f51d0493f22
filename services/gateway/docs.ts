import type { Route } from './route.ts';

export function docsRoutes(_routes: readonly Route[], _version: string): readonly Route[] {
  return [];
}
