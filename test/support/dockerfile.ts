/** One instruction of a Dockerfile, its lines joined. */
interface Instruction {
  readonly name: string;
  /** `--from=build` as `from: 'build'`. */
  readonly flags: Readonly<Record<string, string>>;
  readonly text: string;
}

/** What a target of a Dockerfile is, its stages down to the base image put together. */
export interface Image {
  readonly base: string;
  readonly instructions: readonly Instruction[];
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly workingDir: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthCommand: readonly string[];
}

/** Reads the part of the language that our Dockerfile uses: exec forms only, no variables but those of `FROM`. */
export function readImage(dockerfile: string, target: string): Image {
  const { stages, args } = stagesOf(dockerfile);
  const chain: Instruction[] = [];
  let base = target;
  for (let stage = stages.get(base); stage !== undefined; stage = stages.get(base)) {
    chain.unshift(...stage.instructions);
    base = stage.from;
  }
  const all = (name: string): string[] => chain.flatMap((each) => (each.name === name ? [each.text] : []));
  const exec = (name: string): string[] => JSON.parse(all(name).at(-1) ?? '[]');
  return {
    base: args.get(base.replace(/^\$\{(.*)\}$/, '$1')) ?? base,
    instructions: chain,
    env: Object.fromEntries(all('ENV').flatMap(variables)),
    user: all('USER').at(-1) ?? '0:0',
    workingDir: all('WORKDIR').at(-1) ?? '/',
    entrypoint: exec('ENTRYPOINT'),
    command: exec('CMD'),
    healthCommand: JSON.parse(/CMD (\[.*\])/.exec(all('HEALTHCHECK').at(-1) ?? '')?.[1] ?? '[]'),
  };
}

interface Stage {
  readonly from: string;
  readonly instructions: Instruction[];
}

function stagesOf(dockerfile: string): { readonly stages: ReadonlyMap<string, Stage>; readonly args: ReadonlyMap<string, string> } {
  const stages = new Map<string, Stage>();
  const args = new Map<string, string>();
  let present: Stage | undefined;
  for (const line of dockerfile.replaceAll(/\\\n/g, ' ').split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
    if (name === 'FROM') {
      const [from = '', , stage = ''] = rest.split(/\s+/);
      present = { from, instructions: [] };
      stages.set(stage, present);
    } else if (present === undefined) {
      const [variable = '', value = ''] = rest.split('=', 2);
      args.set(variable, value);
    } else present.instructions.push(instruction(name, rest));
  }
  return { stages, args };
}

function instruction(name: string, rest: string): Instruction {
  const flags = Object.fromEntries([...rest.matchAll(/(?:^|\s)--([\w-]+)=(\S+)(?=\s)/g)].map(([, flag = '', value = '']) => [flag, value]));
  const [, text = ''] = /^(?:--\S+\s+)*(.*)$/.exec(rest) ?? [];
  return { name, flags, text: name === 'HEALTHCHECK' ? rest : text };
}

function variables(text: string): [string, string][] {
  return [...text.matchAll(/(\w+)=(?:"([^"]*)"|(\S+))/g)].map(([, name = '', quoted, plain = '']) => [name, quoted ?? plain]);
}
