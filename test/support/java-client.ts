import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SOURCES = fileURLToPath(new URL('java-client', import.meta.url));
const run = promisify(execFile);

export interface JavaMessage {
  readonly body: Buffer | string;
  readonly keys?: string;
  readonly tags?: string;
  readonly properties?: Readonly<Record<string, string>>;
  readonly delayMs?: number;
}

export interface JavaProduced {
  /** Sent as one batch. */
  readonly batch?: boolean;
  /** Of bodies over 4 KiB. */
  readonly compression?: 'ZLIB' | 'LZ4' | 'ZSTD';
}

/** A message as the Java client reads it. */
export interface JavaFound {
  readonly queue: number;
  readonly offset: number;
  readonly body: Buffer;
  readonly keys?: string;
  readonly tags?: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly bornAtMs: number;
  readonly storedAtMs: number;
}

export interface JavaRate {
  readonly records: number;
  readonly ms: number;
  /** Of its whole process. */
  readonly cpuMs: number;
}

/** The official Java client (rocketmq-client) as a child process. */
export class JavaClient {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #waiting: ((answer: { error?: string } & Record<string, unknown>) => void)[] = [];

  /** Builds it first if that was not done; fetching its jars for the first time takes a minute. */
  static async start(nameServer: string): Promise<JavaClient> {
    return new JavaClient(await build(), nameServer);
  }

  private constructor(folder: string, nameServer: string) {
    const options = ['-Xmx256m', `-Duser.home=${folder}`, '-Drocketmq.log.root.level=WARN', '-cp', `${folder}/classes:${folder}/lib/*`];
    const child = spawn('java', [...options, 'JavaClient', nameServer], { stdio: ['pipe', 'pipe', 'ignore'] });
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout });
    this.#lines.on('line', (line) => this.#waiting.shift()?.(JSON.parse(line)));
    this.#lines.on('close', () => {
      for (const answer of this.#waiting.splice(0)) answer({ error: 'the Java client ended' });
    });
  }

  /** All into the topic's first queue, in order. */
  async produce(
    topic: string,
    messages: readonly JavaMessage[],
    { batch = false, compression = 'ZLIB' }: JavaProduced = {},
  ): Promise<void> {
    const encoded = messages.map((message) => ({ ...message, body: Buffer.from(message.body).toString('base64') }));
    await this.#ask({ command: 'produce', topic, messages: encoded, batch, compression });
  }

  /** So many messages from the beginning of the topic, fewer when the time is over; by queue and offset. */
  async consume(topic: string, count: number, timeoutMs = 20_000): Promise<JavaFound[]> {
    const { messages } = await this.#ask({ command: 'consume', topic, count, timeoutMs });
    return (messages as (Omit<JavaFound, 'body'> & { body: string })[]).map((message) => ({
      ...message,
      body: Buffer.from(message.body, 'base64'),
    }));
  }

  /**
   * All that is in a topic now, as a file with one message a line: queue, offset and body (base64), in order per queue. Returns how many there are.
   */
  async dump(topic: string, file: string, timeoutMs = 300_000): Promise<number> {
    const { count } = await this.#ask({ command: 'dump', topic, file, timeoutMs });
    return Number(count);
  }

  /** Sends batches of bodies of so many bytes, one in flight per queue. */
  async sendRate(topic: string, batches: { bodyBytes: number; batchSize: number; batchesPerQueue: number }): Promise<JavaRate> {
    return (await this.#ask({ command: 'sendRate', topic, ...batches })) as unknown as JavaRate;
  }

  /** Pulls so many messages from the beginning of a topic. */
  async pullRate(topic: string, count: number): Promise<JavaRate> {
    return (await this.#ask({ command: 'pullRate', topic, count })) as unknown as JavaRate;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin?.end();
    await ended;
  }

  async #ask(request: object): Promise<Record<string, unknown>> {
    const answer = new Promise<{ error?: string } & Record<string, unknown>>((resolve) => this.#waiting.push(resolve));
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    const { error, ...rest } = await answer;
    if (error !== undefined) throw new Error(error);
    return rest;
  }
}

/** Jars and classes in a folder that is kept from run to run; a change of the sources makes another one. */
async function build(): Promise<string> {
  const [pom = '', ...sources] = ['pom.xml', 'JavaClient.java', 'JavaRates.java'].map((name) => join(SOURCES, name));
  const hash = createHash('sha256');
  for (const file of [pom, ...sources]) hash.update(readFileSync(file));
  const parent = join(tmpdir(), 'rocketmq-connect');
  const folder = join(parent, `java-client-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(folder)) return folder;
  mkdirSync(parent, { recursive: true });
  const growing = mkdtempSync(`${folder}-`);
  await run('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${join(growing, 'lib')}`]);
  await run('javac', ['-cp', join(growing, 'lib', '*'), '-d', join(growing, 'classes'), ...sources]);
  try {
    renameSync(growing, folder);
  } catch (error) {
    rmSync(growing, { recursive: true, force: true });
    // Another run was faster.
    if (!existsSync(folder)) throw error;
  }
  return folder;
}
