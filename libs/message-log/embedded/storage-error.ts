import { type ConnectError, FatalError, RetriableError } from '@rocketmq-connect/sdk';

/** What a failed file operation means for the caller, and what to do about it. */
export function storageError(cause: unknown, doing: string, path: string): ConnectError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? 'UNKNOWN';
  const message = `${doing} ${path} failed (${code})`;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return diskFull(message, cause);
    case 'EFBIG':
      return diskFull(`${message}: file size limit`, cause);
    case 'EMFILE':
    case 'ENFILE':
      return new RetriableError(message, {
        code: 'TOO_MANY_OPEN_FILES',
        field: 'dataDir',
        remedy: 'Raise the limit of open files (ulimit -n).',
        cause,
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new FatalError(message, {
        code: 'STORAGE_DENIED',
        field: 'dataDir',
        remedy: 'Give the user that runs this process read and write access to the directory and everything in it.',
        cause,
      });
    case 'ENOENT':
    case 'ENOTDIR':
      return new FatalError(`${message}: it is not there`, {
        code: 'STORAGE_GONE',
        field: 'dataDir',
        remedy: 'Something removed or replaced files of the data directory while it was in use: put them back and start again.',
        cause,
      });
    default:
      return new FatalError(message, { code: 'STORAGE_FAILED', field: 'dataDir', remedy: 'Check the disk and the system log.', cause });
  }
}

export function diskFull(message: string, cause?: unknown): RetriableError {
  return new RetriableError(message, {
    code: 'DISK_FULL',
    field: 'dataDir',
    remedy: 'Free space on the disk of the data directory; sending goes on by itself.',
    cause,
  });
}
