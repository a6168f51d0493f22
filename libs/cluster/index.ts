export * from './codec.ts';
export * from './keys.ts';
export * from './lease-state.ts';
export * from './prefix-cache.ts';
export * from './session.ts';
