import type { TaskLogger } from '@rocketmq-connect/sdk';

/** Structured logs: a message and fields. `child` attaches fields to every line. Adapter: `pino.ts`. */
export interface Logger extends TaskLogger {
  child(fields: Readonly<Record<string, unknown>>): Logger;
}
