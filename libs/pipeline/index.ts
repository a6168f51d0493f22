export * from './host-protocol.ts';
export * from './task-host.ts';
