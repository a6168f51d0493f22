import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError, defineSource, type Static, Type } from '@rocketmq-connect/sdk';
import { errorCode, fileFault } from './fault.ts';
import { dealFiles, isGlob, matchingFiles } from './file-set.ts';
import { FileSourceTask } from './source-task.ts';
import { standardInput } from './stream-input.ts';

const config = Type.Object({
  file: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'Source filename, or a glob of several. If not specified, the standard input will be used',
      importance: 'high',
    }),
  ),
  topic: Type.String({ minLength: 1, topic: true, description: 'The topic to publish data to', importance: 'high' }),
  'batch.size': Type.Integer({
    default: 500,
    minimum: 1,
    description: 'The maximum number of records the source task can read from the file each time it is polled',
    importance: 'low',
  }),
  'poll.interval.ms': Type.Integer({
    default: 200,
    minimum: 10,
    maximum: 60_000,
    description: 'How often to look for new lines, rotation and truncation where the system does not tell of changes',
    importance: 'low',
  }),
  'rotate.wait.ms': Type.Integer({
    default: 1_000,
    minimum: 0,
    maximum: 3_600_000,
    description: 'How long a writer may go on with a file after it was renamed, before the new one is read',
    importance: 'low',
  }),
  'refresh.interval.ms': Type.Integer({
    default: 2_000,
    minimum: 10,
    maximum: 3_600_000,
    description: 'How often to look for new files that a glob matches',
    importance: 'low',
  }),
  'line.max.bytes': Type.Integer({
    default: 4 * 1024 * 1024 - 64 * 1024,
    minimum: 1,
    maximum: 1024 * 1024 * 1024,
    description: 'The longest line taken, in bytes without its newline. The default fits into a message of 4 MiB',
    importance: 'low',
  }),
  'line.too.long': Type.Union([Type.Literal('fail'), Type.Literal('skip')], {
    default: 'fail',
    description: 'What to do with a longer line: fail the task, or leave the line out with a warning',
    importance: 'low',
  }),
});

export type FileSourceConfig = Static<typeof config>;

/** Follows text files line by line, as `tail -F` does; a line is a record. */
export const FileStreamSource = defineSource({
  name: 'FileStreamSource',
  version: '0.1.0',
  description: 'Lines of files, or of the standard input, as records',
  aliases: ['org.apache.kafka.connect.file.FileStreamSourceConnector'],
  config,
  deterministic: true,

  async plan({ file }, { maxTasks }) {
    if (file === undefined) return [{ files: JSON.stringify([standardInput]) }];
    const files = isGlob(file) ? await matchingFiles(file) : [resolve(file)];
    return dealFiles(files, maxTasks).map((share) => ({ files: JSON.stringify(share) }));
  },

  async watch({ file, 'refresh.interval.ms': intervalMs }, replan, signal) {
    if (file === undefined || !isGlob(file)) return;
    let known = new Set<string>();
    while (!signal.aborted) {
      const files = await matchingFiles(file);
      // A file that vanished may be between two names, or not read to its end yet: only new ones are worth a new task set.
      if (files.some((path) => !known.has(path))) {
        known = new Set(files);
        replan();
      }
      await delay(intervalMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  },

  task(settings, context, taskConfig) {
    return new FileSourceTask(settings, context, pathsOf(settings, taskConfig['files']));
  },

  async check({ file }) {
    if (file === undefined || isGlob(file)) return;
    try {
      // Not opened: that would block on a named pipe.
      await access(file, constants.R_OK);
      if ((await stat(file)).isDirectory()) throw Object.assign(new Error(file), { code: 'EISDIR' });
    } catch (error) {
      // What does not exist yet is waited for.
      if (errorCode(error) !== 'ENOENT') throw fileFault(error, file, 'read');
    }
  },

  alterOffsets({ file }, offsets) {
    if (file === undefined) {
      throw refusal(
        "Offsets cannot be modified if the 'file' configuration is unspecified. This is because stdin is used for input and offsets are not tracked.",
        'file',
      );
    }
    for (const { partition, offset } of offsets) {
      // Any partition can be removed, also one that an earlier version wrote.
      if (offset === null) continue;
      if (typeof partition['filename'] !== 'string')
        throw refusal("Partition objects should contain the key 'filename'", 'partition.filename');
      if (!('position' in offset)) {
        throw refusal("Offset objects should either be null or contain the key 'position'", 'offset.position');
      }
      const position = offset['position'];
      if (typeof position !== 'number' || !Number.isSafeInteger(position)) {
        throw refusal("The value for the 'position' key in the offset is expected to be a whole number", 'offset.position');
      }
      if (position < 0) {
        throw refusal("The value for the 'position' key in the offset should be a non-negative value", 'offset.position');
      }
    }
  },
});

function pathsOf({ file }: FileSourceConfig, files: string | undefined): readonly string[] {
  if (files === undefined) return [file === undefined ? standardInput : resolve(file)];
  const paths: unknown = JSON.parse(files);
  if (!Array.isArray(paths) || !paths.every((path) => typeof path === 'string')) {
    throw new ConfigError(`The task's files are no list of paths: ${files}`, { field: 'files' });
  }
  return paths;
}

function refusal(message: string, field: string): ConfigError {
  return new ConfigError(message, { code: 'OFFSET_INVALID', field });
}
