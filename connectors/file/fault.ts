import { ConfigError, ConnectError, FatalError, RetriableError } from '@rocketmq-connect/sdk';

const passing = new Set(['EMFILE', 'ENFILE', 'EIO', 'ESTALE', 'ETIMEDOUT', 'EAGAIN', 'EBUSY', 'ENOMEM', 'EINTR']);
const full = new Set(['ENOSPC', 'EDQUOT']);

/** What an error of the file system means for a task: which to try again, and for the others what the user has to do. */
export function fileFault(error: unknown, path: string, doing: 'read' | 'write'): ConnectError {
  if (error instanceof ConnectError) return error;
  const code = errorCode(error);
  const cause = { field: 'file', cause: error };
  if (full.has(code)) {
    return new RetriableError(`No space left to write ${path} (${code})`, {
      ...cause,
      code: 'DISK_FULL',
      remedy: 'Free space on that file system, or raise its quota; nothing is lost meanwhile.',
    });
  }
  if (passing.has(code)) return new RetriableError(`Cannot ${doing} ${path} now (${code})`, { ...cause, code: 'FILE_BUSY' });
  switch (code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new FatalError(`No permission to ${doing} ${path} (${code})`, {
        ...cause,
        code: 'FILE_FORBIDDEN',
        remedy: `Let the user that runs the task runner ${doing} it, then restart the task.`,
      });
    case 'EISDIR':
      return new ConfigError(`${path} is a directory, not a file`, { ...cause, remedy: 'Name a file.' });
    case 'ENXIO':
      return new ConfigError(`${path} is a socket or has no other end, and cannot be opened`, {
        ...cause,
        remedy: 'Name a file or named pipe; give the standard input by a pipe, a terminal or a file.',
      });
    case 'ENOENT':
    case 'ENOTDIR':
      return new ConfigError(`Couldn't find or create file '${path}' (${code})`, {
        ...cause,
        remedy: 'Create its directory on every machine that may run the task, or correct the path.',
      });
    default:
      return new FatalError(`Cannot ${doing} ${path}: ${error instanceof Error ? error.message : String(error)}`, {
        ...cause,
        code: 'FILE_FAULT',
      });
  }
}

/** The code of an error of the system or its libraries, e.g. `ENOENT`; '' of anything else. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && !(error instanceof ConnectError) ? String(error.code) : '';
}
