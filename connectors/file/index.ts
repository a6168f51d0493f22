export { FileStreamSink } from './sink.ts';
export { FileStreamSource } from './source.ts';
