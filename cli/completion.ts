import { ConfigError } from '@rocketmq-connect/sdk';
import type { Command } from 'commander';
import { printLine } from './output.ts';

/** Prints a script that completes commands and flags: `source <(rocketmq-connect completion bash)`. */
export function printCompletion(program: Command, shell: string): void {
  const words = commandWords(program, []);
  switch (shell) {
    case 'bash':
      return printLine(bash(words));
    case 'zsh':
      return printLine(`autoload -U +X bashcompinit && bashcompinit\n${bash(words)}`);
    case 'fish':
      return printLine(fish(words));
    default:
      throw new ConfigError(`no completion for ${shell}`, { field: 'shell', remedy: 'give bash, zsh or fish' });
  }
}

/** Path of commands → what may follow. */
function commandWords(command: Command, path: readonly string[]): Map<string, readonly string[]> {
  const words = new Map<string, readonly string[]>();
  words.set(path.join(' '), [
    ...command.commands.map((child) => child.name()),
    ...command.options.flatMap((option) => [option.long ?? '']).filter((flag) => flag !== ''),
  ]);
  for (const child of command.commands) for (const entry of commandWords(child, [...path, child.name()])) words.set(...entry);
  return words;
}

function bash(words: Map<string, readonly string[]>): string {
  const cases = [...words].map(([path, next]) => `    '${path}') words='${next.join(' ')}' ;;`);
  return `_rocketmq_connect() {
  local path='' words='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do [[ $word == -* ]] || path="\${path:+$path }$word"; done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
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
