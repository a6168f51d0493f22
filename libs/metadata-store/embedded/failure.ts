import { ConfigError, ConnectError, FatalError } from '@rocketmq-connect/sdk';
import { StoreUnavailableError } from '../errors.ts';

const SQLITE = { BUSY: 5, LOCKED: 6, READONLY: 8, IOERR: 10, CORRUPT: 11, FULL: 13, CANTOPEN: 14, NOTADB: 26, IOERR_SHORT_READ: 522 };

/** What SQLite threw, as an error of the family that names the file and what to do. */
export function failureOf(error: unknown, path: string): Error {
  if (error instanceof ConnectError) return error;
  if (!isSqliteError(error)) return error instanceof Error ? error : new Error(String(error));
  if (error.errcode === SQLITE.IOERR_SHORT_READ) return corrupt(path, error.message, error);
  switch (error.errcode & 0xff) {
    case SQLITE.CORRUPT:
    case SQLITE.NOTADB:
      return corrupt(path, error.message, error);
    case SQLITE.FULL:
      return new StoreUnavailableError(`no space left for ${path}; nothing was written`, error, {
        code: 'STORE_FULL',
        field: path,
        remedy: 'free space on the disk; the store goes on by itself',
      });
    case SQLITE.READONLY:
    case SQLITE.CANTOPEN:
      return unusable(path, error.message, error);
    case SQLITE.IOERR:
      return new StoreUnavailableError(`the disk failed under ${path} (${error.message}); nothing was written`, error, {
        code: 'STORE_IO',
        field: path,
        remedy: 'see to the disk; the store goes on by itself when it works again',
      });
    default:
      return new StoreUnavailableError(`${path}: ${error.message}`, error);
  }
}

export function isLocked(error: unknown): boolean {
  return isSqliteError(error) && [SQLITE.BUSY, SQLITE.LOCKED].includes(error.errcode & 0xff);
}

export function corrupt(path: string, what: string, cause?: unknown): FatalError {
  return new FatalError(`${path} is damaged: ${what}`, {
    code: 'DATA_DIR_CORRUPT',
    field: path,
    remedy: 'restore the data directory from a backup, or move it away to begin with an empty one',
    cause,
  });
}

export function unusable(path: string, what: string, cause?: unknown): ConfigError {
  return new ConfigError(`${path} cannot be written: ${what}`, {
    code: 'DATA_DIR_UNUSABLE',
    field: path,
    remedy: 'give this user the right to write there, or choose another data directory',
    cause,
  });
}

function isSqliteError(error: unknown): error is Error & { errcode: number } {
  return error instanceof Error && 'code' in error && error.code === 'ERR_SQLITE_ERROR' && 'errcode' in error;
}
