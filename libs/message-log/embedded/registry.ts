import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { FatalError } from '@rocketmq-connect/sdk';
import { loadState, saveState, syncDirectory } from './state-file.ts';
import { storageError } from './storage-error.ts';

const LAYOUT = 1;

export interface RegisteredTopic {
  /** Never used again: a topic that is created anew under an old name shares nothing with the old one. */
  readonly id: number;
  readonly name: string;
  readonly queues: number;
}

interface RegistryContent {
  readonly nextId: number;
  readonly topics: readonly RegisteredTopic[];
}

/**
 * The topics of a log directory, in `topics.json`:
 *
 *     layout             version of this layout; a newer one is refused
 *     topics.json        names, ids and queue counts
 *     checkpoint.json    where recovery begins (see checkpoint.ts)
 *     topics/<id>-<name>/<queue>/<position of the first message>.log
 */
export class Registry {
  readonly #directory: string;
  #nextId: number;
  readonly #topics: Map<string, RegisteredTopic>;

  private constructor(directory: string, content: RegistryContent) {
    this.#directory = directory;
    this.#nextId = content.nextId;
    this.#topics = new Map(content.topics.map((topic) => [topic.name, topic]));
  }

  /** Opens or makes the directory. Throws `FatalError` on a newer layout and on a registry that cannot be read. */
  static async open(directory: string): Promise<Registry> {
    try {
      mkdirSync(join(directory, 'topics'), { recursive: true });
    } catch (error) {
      throw storageError(error, 'making the directory', directory);
    }
    checkLayout(directory);
    const path = join(directory, 'topics.json');
    const state = loadState<RegistryContent>(path);
    if (state.found === 'whole') return new Registry(directory, state.content);
    const leftovers = state.found === 'absent' ? listNames(join(directory, 'topics')) : [];
    if (state.found === 'corrupt' || leftovers.length > 0) {
      throw new FatalError(`the registry of topics ${path} is ${state.found === 'corrupt' ? 'corrupt' : 'missing'}`, {
        code: 'REGISTRY_CORRUPT',
        field: 'dataDir',
        remedy: 'Restore topics.json from a backup, or move the whole log directory away to begin with an empty log.',
      });
    }
    const registry = new Registry(directory, { nextId: 1, topics: [] });
    await registry.#save();
    return registry;
  }

  topics(): readonly RegisteredTopic[] {
    return [...this.#topics.values()];
  }

  get(name: string): RegisteredTopic | undefined {
    return this.#topics.get(name);
  }

  /** Adds a topic, or gives it more queues; on disk when this returns. */
  async put(name: string, queues: number): Promise<RegisteredTopic> {
    const before = this.#topics.get(name);
    const nextId = this.#nextId;
    const topic = { id: before?.id ?? this.#nextId++, name, queues };
    this.#topics.set(name, topic);
    try {
      await this.#save();
    } catch (error) {
      this.#nextId = nextId;
      if (before === undefined) this.#topics.delete(name);
      else this.#topics.set(name, before);
      throw error;
    }
    return topic;
  }

  async remove(topic: RegisteredTopic): Promise<void> {
    this.#topics.delete(topic.name);
    try {
      await this.#save();
    } catch (error) {
      this.#topics.set(topic.name, topic);
      throw error;
    }
  }

  /** The directory of a queue; its topic's name is there for people only. */
  queueDirectory(topic: RegisteredTopic, queue: number): string {
    return join(this.#topicDirectory(topic), String(queue));
  }

  /** Makes a topic's directory, if it is not there yet; those of the queues come with their first message. */
  async makeDirectory(topic: RegisteredTopic): Promise<void> {
    const path = this.#topicDirectory(topic);
    try {
      if (mkdirSync(path, { recursive: true }) !== undefined) await syncDirectory(dirname(path));
    } catch (error) {
      throw storageError(error, 'making the directory', path);
    }
  }

  removeFiles(topic: RegisteredTopic): void {
    removeTree(this.#topicDirectory(topic));
  }

  /** Removes what a crash left of deleted topics. */
  removeOrphans(): void {
    const parent = join(this.#directory, 'topics');
    const known = new Set(this.topics().map((topic) => this.#topicDirectory(topic)));
    for (const name of listNames(parent)) if (!known.has(join(parent, name))) removeTree(join(parent, name));
  }

  #topicDirectory(topic: RegisteredTopic): string {
    return join(this.#directory, 'topics', `${topic.id}-${topic.name.replace(/[^A-Za-z0-9_-]/g, '_')}`);
  }

  #save(): Promise<void> {
    return saveState(join(this.#directory, 'topics.json'), { nextId: this.#nextId, topics: this.topics() } satisfies RegistryContent);
  }
}

function checkLayout(directory: string): void {
  const path = join(directory, 'layout');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw storageError(error, 'reading', path);
    try {
      writeFileSync(path, `${LAYOUT}\n`, { flush: true });
    } catch (cause) {
      throw storageError(cause, 'writing', path);
    }
    return;
  }
  const found = /^\d+\s*$/.test(text) ? Number(text) : Number.NaN;
  if (found === LAYOUT) return;
  if (found > LAYOUT) {
    throw new FatalError(`the message log in ${directory} has layout ${found}; this version knows layouts up to ${LAYOUT}`, {
      code: 'LAYOUT_NEWER',
      field: 'dataDir',
      remedy: 'Start the newer version that wrote it, or choose another data directory.',
    });
  }
  throw new FatalError(`${path} holds no layout version`, {
    code: 'LAYOUT_INVALID',
    field: 'dataDir',
    remedy: `If this directory is a message log, write ${LAYOUT} into that file; else choose another data directory.`,
  });
}

function listNames(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    throw storageError(error, 'listing', path);
  }
}

function removeTree(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (error) {
    throw storageError(error, 'removing', path);
  }
}
