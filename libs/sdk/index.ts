export type { Static, TObject } from 'typebox';
export * from './config.ts';
export * from './connector.ts';
export * from './errors.ts';
export * from './record.ts';
export * from './schema.ts';
export * from './stages.ts';
export * from './time.ts';
export * from './type.ts';
