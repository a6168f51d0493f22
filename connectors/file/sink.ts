import { defineSink, type Static, Type } from '@rocketmq-connect/sdk';
import { FileSinkTask } from './sink-task.ts';

const config = Type.Object({
  file: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'Destination filename. If not specified, the standard output will be used',
      importance: 'high',
    }),
  ),
  'file.fsync': Type.Union([Type.Literal('commit'), Type.Literal('put'), Type.Literal('never')], {
    default: 'commit',
    description: 'When lines are forced to the disk: before each commit, with each batch, or never (a power cut may then lose lines)',
    importance: 'low',
  }),
  'file.rotate.bytes': Type.Integer({
    default: 0,
    minimum: 0,
    description: 'Begins a new file before this one grows larger; the full one gets the next number, file.1, file.2 and so on. 0: never',
    importance: 'low',
  }),
  'file.rotate.ms': Type.Integer({
    default: 0,
    minimum: 0,
    description: 'Begins a new file with the first record that comes this long after the first of the file. 0: never',
    importance: 'low',
  }),
  'file.changed': Type.Union([Type.Literal('fail'), Type.Literal('append')], {
    default: 'fail',
    description:
      'What to do when somebody else has changed, replaced or removed the file: fail the task, or go on after what is there now ' +
      '(records of the last moments may then be doubled)',
    importance: 'low',
  }),
});

export type FileSinkConfig = Static<typeof config>;

/** Appends each record's value as a line to a file: exactly once, by the file's length kept with the positions. */
export const FileStreamSink = defineSink({
  name: 'FileStreamSink',
  version: '0.1.0',
  description: 'Records as lines of a file, or on the standard output',
  aliases: ['org.apache.kafka.connect.file.FileStreamSinkConnector'],
  config,
  textAsBuffer: true,
  keepsState: true,
  task: (settings, context) => new FileSinkTask(settings, context),
});
