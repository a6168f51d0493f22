export * from './codec.ts';
export * from './election.ts';
export * from './keys.ts';
export * from './layout.ts';
export * from './permissions.ts';
export * from './prefix-cache.ts';
export * from './registration.ts';
export * from './session.ts';
