import { readFileSync } from 'node:fs';
import { settingInfos } from '@rocketmq-connect/configuration';
import { Argument, Command, Option } from 'commander';

/** The whole command line. Each command imports what it needs only when it runs, so that `standalone` starts fast and stays small. */
export function createProgram(): Command {
  const program = new Command('rocketmq-connect')
    .description('Moves records between outside systems and Apache RocketMQ.')
    .version(ownVersion(), '-v, --version', 'print the version')
    .exitOverride()
    .showHelpAfterError()
    .enablePositionalOptions();

  withSettings(program.command('standalone').description('run the whole mesh in one process on embedded storage'))
    .option('--no-quickstart', 'do not load the quickstart pipeline into an empty store')
    .action(async (options) => (await import('./run-command.ts')).runStandalone(options));
  for (const [name, what] of Object.entries(SERVICES)) {
    withSettings(program.command(name).description(what)).action(async (options) =>
      (await import('./run-command.ts')).runService(name, options),
    );
  }
  withSettings(program.command('health').description('ask a process of this machine whether it serves: for probes'))
    .option('--address <address>', 'host:port of its gRPC; default: this machine and the port of the settings')
    .option('--alive', 'any answer will do, whether it serves or not')
    .action(async (options) => (await import('./health-command.ts')).health(options));
  withSettings(program.command('doctor').description('look at what a process with these settings needs, and say what to do'))
    .option('--json', 'print JSON')
    .action(async (options) => (await import('./doctor-command.ts')).doctor(options));
  withSettings(program.command('config').description('print the effective settings and where each came from'))
    .option('--json', 'print JSON')
    .action(async (options) => (await import('./config-command.ts')).printConfig(options));

  addConnectors(program);
  remote(program.command('status').description('states of all connectors and tasks, or of one').argument('[name]'))
    .option('--watch', 'repeat every second')
    .action(async (name, options) => (await import('./status-command.ts')).status(name, options));
  addCluster(program);
  remote(program.command('plugins').description('connectors that can be used; --all also converters, transforms and predicates'))
    .option('--all', 'every kind')
    .action(async (options) => (await import('./plugin-commands.ts')).plugins(options));
  remote(program.command('validate').description('check a connector file without creating anything'))
    .requiredOption('-f, --file <file>', 'JSON, YAML or .properties, - for standard input')
    .action(async (options) => (await import('./plugin-commands.ts')).validate(options));
  program
    .command('completion')
    .description('print a completion script')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .action(async (shell) => (await import('./completion.ts')).printCompletion(program, shell));
  return program;
}

function ownVersion(): string {
  const manifest: { version: string } = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8'));
  return manifest.version;
}

const SERVICES = {
  'config-service': 'run one config-service',
  scheduler: 'run one scheduler-service',
  'task-runner': 'run one task-runner-service',
  gateway: 'run one REST gateway',
} as const;

function addConnectors(program: Command): void {
  const connectors = program.command('connectors').description('list, create, change and control connectors');
  const commands = () => import('./connector-commands.ts');
  remote(connectors.command('list').description('names and types'))
    .option('--names', 'only names, one a line')
    .action(async (options) => (await commands()).list(options));
  remote(connectors.command('get').description('one connector').argument('<name>')).action(async (name, options) =>
    (await commands()).get(name, options),
  );
  remote(connectors.command('create').description('create one from a file; fails where the name is taken'))
    .requiredOption('-f, --file <file>', 'JSON, YAML or .properties, - for standard input')
    .action(async (options) => (await commands()).create(options));
  remote(connectors.command('apply').description('create or change connectors so that they are as in the file'))
    .requiredOption('-f, --file <file>', 'JSON, YAML or .properties with one or several connectors, - for standard input')
    .action(async (options) => (await commands()).apply(options));
  remote(connectors.command('delete').description('delete one; its positions stay for one of the same name').argument('<name>'))
    .option('--reset-offsets', 'forget its positions')
    .action(async (name, options) => (await commands()).remove(name, options));
  for (const verb of ['pause', 'resume', 'stop'] as const) {
    remote(connectors.command(verb).description(`${verb} one`).argument('<name>')).action(async (name, options) =>
      (await commands()).lifecycle(verb, name, options),
    );
  }
  remote(connectors.command('restart').description('restart one').argument('<name>'))
    .option('--include-tasks', 'also its tasks')
    .option('--only-failed', 'only what has failed')
    .action(async (name, options) => (await commands()).restart(name, options));
}

function addCluster(program: Command): void {
  const commands = () => import('./cluster-commands.ts');
  const runners = program.command('runners').description('list task runners, drain and undrain them');
  remote(runners.command('list', { isDefault: true }).description('ids, states and units')).action(async (options) =>
    (await commands()).runners(options),
  );
  remote(runners.command('drain').description('move everything off one, gently, until it is undrained').argument('<id>'))
    .option('--dry-run', 'say what would move, and change nothing')
    .option('--wait', 'come back when it owns nothing any more')
    .action(async (id, options) => (await commands()).drain(id, options));
  remote(runners.command('undrain').description('let one take units again').argument('<id>')).action(async (id, options) =>
    (await commands()).undrain(id, options),
  );
  remote(program.command('units').description('connector instances and tasks: what they do, and where').argument('[connector]')).action(
    async (connector, options) => (await commands()).units(connector, options),
  );
  remote(
    program
      .command('explain')
      .description('why units are where they are, why they do not run, what they wait for')
      .argument('<connector[/task]>'),
  ).action(async (unit, options) => (await commands()).explain(unit, options));
}

function remote(command: Command): Command {
  return command
    .addOption(new Option('--url <url>', 'the REST gateway').env('RMQC_URL').default('http://127.0.0.1:8083'))
    .option('--json', 'print JSON');
}

function withSettings(command: Command): Command {
  command.option('--config <file>', 'YAML file of settings');
  for (const info of settingInfos) {
    const value = info.type.kind === 'boolean' ? '[true|false]' : '<value>';
    command.option(`${info.flag} ${value}`, `${info.description} Default: ${JSON.stringify(info.default)}`);
  }
  return command;
}
