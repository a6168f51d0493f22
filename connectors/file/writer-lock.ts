import { createHash } from 'node:crypto';
import { connect, createServer, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type ConnectError, FatalError, RetriableError } from '@rocketmq-connect/sdk';
import { errorCode } from './fault.ts';

/** An earlier owner of the file may be on its way out. */
const patienceMs = 1_000;
const answerMs = 300;

/**
 * Holds the right to write a file, until `close` or the death of the process, whichever comes first: a name in the kernel (an abstract
 * socket, on Windows a pipe), so nothing stays behind after `kill -9`. It covers the processes of one machine and network namespace;
 * writers elsewhere are noticed by the file's length. Other systems have no such names: there only the length is watched.
 */
export class WriterLock {
  readonly #server: Server | undefined;

  private constructor(server: Server | undefined) {
    this.#server = server;
  }

  /** Takes the lock on `path` for `writer`, which is shown to others who try. */
  static async take(path: string, writer: string): Promise<WriterLock> {
    const name = lockName(path);
    if (name === undefined) return new WriterLock(undefined);
    for (const startedMs = performance.now(); ; ) {
      const server = await listen(name, `${writer}, in process ${process.pid}`);
      if (server !== undefined) return new WriterLock(server);
      if (performance.now() - startedMs > patienceMs) throw inUse(path, writer, await holderOf(name));
      await delay(50);
    }
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server !== undefined) await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

/** A former owner of this very task, or one that stands still and cannot say who it is, will be gone: then trying again helps. */
function inUse(path: string, writer: string, holder: string): ConnectError {
  const context = { code: 'FILE_IN_USE', field: 'file' };
  const message = `${path} is being written by ${holder === '' ? 'a process that does not answer' : holder}`;
  if (holder === '' || holder.startsWith(`${writer}, `))
    return new RetriableError(message, { ...context, remedy: 'It is tried again until that process has let go.' });
  return new FatalError(message, {
    ...context,
    remedy: 'Give each sink connector a file of its own, or stop the other one; then restart the task.',
  });
}

function lockName(path: string): string | undefined {
  const digest = createHash('sha256').update(path).digest('hex').slice(0, 40);
  if (process.platform === 'linux') return `\0rocketmq-connect/file-sink/${digest}`;
  if (process.platform === 'win32') return `\\\\.\\pipe\\rocketmq-connect-file-sink-${digest}`;
  return undefined;
}

function listen(name: string, holder: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.end(holder);
    });
    server.unref();
    server.once('error', (error) => (errorCode(error) === 'EADDRINUSE' ? resolve(undefined) : reject(error)));
    server.listen(name, () => resolve(server));
  });
}

/** '' where nobody answers. */
function holderOf(name: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(name);
    const done = (): void => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(answerMs, done);
    socket.on('data', (data) => {
      text += data.toString();
    });
    socket.once('end', done);
    socket.once('error', done);
  });
}
