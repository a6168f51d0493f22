import { existsSync, writeFileSync } from 'node:fs';
import { defineSink, defineSource, Secret, Type } from '@rocketmq-connect/sdk';

const keys = {
  hook: Type.String({ default: '', description: 'The hook that misbehaves; none: the connector behaves.' }),
  does: Type.String({ default: '' }),
  'once.marker': Type.String({
    default: '',
    description: 'A file that is made by the first misbehaviour; while it is there, there is no other.',
  }),
  password: Secret({ default: '' }),
};

type Config = { hook: string; does: string; 'once.marker': string; password: string };

/** A source of numbered records that does in one hook what its configuration says: the ways in which code harms its host. */
export const MisbehavingSource = defineSource({
  name: 'MisbehavingSource',
  version: '1.0.0',
  config: Type.Object({ ...keys, topic: Type.String({ default: 'lines' }), 'interval.ms': Type.Integer({ default: 10 }) }),
  validate: (config) => {
    misbehave(config, 'validate');
    return [];
  },
  plan: async (config) => {
    await misbehave(config, 'plan');
    return [{}];
  },
  watch: async (config) => {
    await misbehave(config, 'watch');
  },
  alterOffsets: (config) => misbehave(config, 'alterOffsets'),
  task: (config, context) => {
    const partition = { counter: context.connector };
    let count = Number(context.offset(partition)?.['count'] ?? 0);
    return {
      start: () => misbehave(config, 'start'),
      async poll() {
        await misbehave(config, 'poll');
        await context.sleep(config['interval.ms']);
        count++;
        return {
          records: [{ topic: config.topic, value: `${context.connector} ${count}`, partition, offset: { count } }],
          checkpoint: count,
        };
      },
      committed: () => misbehave(config, 'committed'),
      stop: () => misbehave(config, 'stop'),
    };
  },
});

/** A sink that takes everything, and misbehaves as its configuration says. */
export const MisbehavingSink = defineSink({
  name: 'MisbehavingSink',
  version: '1.0.0',
  config: Type.Object(keys),
  task: (config) => ({
    start: () => misbehave(config, 'start'),
    open: () => misbehave(config, 'open'),
    put: () => misbehave(config, 'put'),
    flush: async () => {
      await misbehave(config, 'flush');
      return undefined;
    },
    close: () => misbehave(config, 'close'),
    stop: () => misbehave(config, 'stop'),
  }),
});

function misbehave(config: Config, hook: string): Promise<void> | undefined {
  const marker = config['once.marker'];
  if (config.hook !== hook || (marker !== '' && existsSync(marker))) return undefined;
  if (marker !== '') writeFileSync(marker, hook);
  switch (config.does) {
    case 'hang':
      return new Promise(() => undefined);
    case 'dawdle':
      return new Promise((resolve) => setTimeout(resolve, 4_000));
    case 'block':
      block();
      return undefined;
    case 'blockLater':
      setTimeout(block);
      return undefined;
    case 'throw':
      throw new Error(`${hook} throws`);
    case 'exit':
      return process.exit(3);
    case 'stray':
      setTimeout(() => {
        throw new Error('thrown where nobody listens');
      });
      return undefined;
    case 'reject':
      void Promise.reject(new TypeError(`nobody awaits ${config.password}`, { cause: new Error(config.password) }));
      return undefined;
    case 'print':
      console.log(`printed ${config.password}`);
      process.stderr.write(`written ${config.password}\n`);
      process.stdout.write(Buffer.from(`record ${config.password}\n`));
      return undefined;
    case 'leak': {
      const leak: unknown[] = [];
      // Numbers cost the garbage collector no time to speak of.
      setInterval(() => leak.push(Array.from({ length: 1e6 }, (_, i) => i + 0.5)));
      return undefined;
    }
    case 'leakBuffers': {
      const leak: Buffer[] = [];
      setInterval(() => leak.push(Buffer.alloc(16 * 1024 * 1024, 1)));
      return undefined;
    }
    case 'kill':
      process.kill(process.pid, 'SIGSEGV');
      return undefined;
    default:
      throw new Error(`there is no misbehaviour ${config.does}`);
  }
}

function block(): void {
  for (;;);
}
