import { type Command, CommanderError } from 'commander';
import { ExitCode, exitCodeOf, printError } from './output.ts';
import { createProgram } from './program.ts';

/** Runs one command line; sets the exit code (see docs/cli.md). */
export async function main(args: readonly string[]): Promise<void> {
  // A closed pipe (`… | head`) ends the output, not the process with a trace.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
  const program: Command = createProgram();
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
      return;
    }
    printError(error, args.includes('--json'));
    process.exitCode = exitCodeOf(error);
  }
}
