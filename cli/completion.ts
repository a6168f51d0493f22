import type { Command } from 'commander';
import { printLine } from './output.ts';

/** Prints a script that completes commands, flags, files and connector names: `source <(rocketmq-connect completion bash)`. */
export function printCompletion(program: Command, shell: Shell): void {
  switch (shell) {
    case 'bash':
      return printLine(bash(program));
    case 'zsh':
      return printLine(`autoload -U +X bashcompinit && bashcompinit\n${bash(program)}`);
    case 'fish':
      return printLine(fish(commandWords(program, [])));
  }
}

type Shell = 'bash' | 'zsh' | 'fish';

/** Path of commands → what may follow. */
function commandWords(command: Command, path: readonly string[]): Map<string, readonly string[]> {
  const words = new Map<string, readonly string[]>();
  words.set(path.join(' '), [
    ...command.commands.map((child) => child.name()),
    ...command.registeredArguments.flatMap((argument) => argument.argChoices ?? []),
    ...command.options.flatMap((option) => [option.long ?? '']).filter((flag) => flag !== ''),
  ]);
  for (const child of command.commands) for (const entry of commandWords(child, [...path, child.name()])) words.set(...entry);
  return words;
}

function everyCommand(command: Command, path: readonly string[] = []): readonly { readonly command: Command; readonly path: string }[] {
  return [{ command, path: path.join(' ') }, ...command.commands.flatMap((child) => everyCommand(child, [...path, child.name()]))];
}

/** Names of arguments that are connectors. */
const TAKES_CONNECTOR = new Set(['name', 'connector']);

function bash(program: Command): string {
  const words = commandWords(program, []);
  const all = everyCommand(program);
  const paths = all.filter(({ path }) => path !== '').map(({ path }) => `'${path}'`);
  const valued = new Set(
    all.flatMap(({ command }) =>
      command.options
        .filter((option) => option.required)
        .flatMap((option) => [option.short, option.long].filter((flag) => flag !== undefined)),
    ),
  );
  const named = all
    .filter(({ command }) => command.registeredArguments.some((argument) => TAKES_CONNECTOR.has(argument.name())))
    .map(({ path }) => `'${path}'`);
  // What a flag takes, and anything without words here, is left to bash: files.
  return `_rocketmq_connect() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path='' words='' word
  COMPREPLY=()
  case "\${COMP_WORDS[COMP_CWORD-1]}" in ${[...valued].join('|')}) return ;; esac
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in ${paths.join('|')}) path="\${path:+$path }$word" ;; esac
  done
  case "$path" in
${[...words].map(([path, next]) => `    '${path}') words='${next.join(' ')}' ;;`).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  case "$path" in ${named.join('|')})
    local IFS=$'\\n'
    [[ $current == -* ]] || COMPREPLY+=($(compgen -W "$("\${COMP_WORDS[0]}" connectors list --names 2>/dev/null)" -- "$current")) ;;
  esac
}
complete -o default -F _rocketmq_connect rocketmq-connect rmqc`;
}

function fish(words: Map<string, readonly string[]>): string {
  const lines: string[] = [];
  for (const [path, next] of words) {
    const condition =
      path === ''
        ? '__fish_use_subcommand'
        : path
            .split(' ')
            .map((word) => `__fish_seen_subcommand_from ${word}`)
            .join('; and ');
    const plain = next.filter((word) => !word.startsWith('-'));
    const flags = next.filter((word) => word.startsWith('--')).map((flag) => flag.slice(2));
    for (const name of ['rocketmq-connect', 'rmqc']) {
      if (plain.length > 0) lines.push(`complete -c ${name} -f -n '${condition}' -a '${plain.join(' ')}'`);
      for (const flag of flags) lines.push(`complete -c ${name} -n '${condition}' -l ${flag}`);
    }
  }
  return lines.join('\n');
}
