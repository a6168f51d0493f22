import { FileStreamSink, FileStreamSource } from '@rocketmq-connect/connector-file';

/** The connectors that every runner has. */
export const builtInConnectors = [FileStreamSource, FileStreamSink];
