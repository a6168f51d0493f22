import type { DatabaseSync } from 'node:sqlite';

/**
 * Opens a file with Node's own SQLite. Some releases of Node print an ExperimentalWarning when the module is first loaded; that one
 * warning is held back here, and no other.
 */
export function openSqlite(path: string): DatabaseSync {
  const emitWarning = process.emitWarning;
  process.emitWarning = ((warning: string | Error, ...rest: never[]) => {
    if (/\bSQLite\b.*experimental/.test(String(warning))) return;
    emitWarning.call(process, warning, ...rest);
  }) as typeof process.emitWarning;
  try {
    const sqlite = process.getBuiltinModule('node:sqlite');
    return new sqlite.DatabaseSync(path);
  } finally {
    process.emitWarning = emitWarning;
  }
}
