import type { Finding } from '@rocketmq-connect/standalone/doctor';
import pc from 'picocolors';
import { ExitCode, printJson, printLine } from './output.ts';
import { settingsFrom } from './settings.ts';

/** Looks at what a process with these settings needs, one line each, with what to do about it. Fails when something does not work. */
export async function doctor(options: Readonly<Record<string, unknown>>): Promise<void> {
  const json = options['json'] === true;
  const loaded = settingsFrom(options);
  const { examine } = await import('@rocketmq-connect/standalone/doctor');
  const findings: Finding[] = [];
  await examine(loaded, (finding) => {
    findings.push(finding);
    if (!json) print(finding);
  });
  const count = (state: Finding['state']): number => findings.filter((finding) => finding.state === state).length;
  if (json) printJson(findings);
  else printLine(`\n${count('ok')} ok, ${count('warning')} warning(s), ${count('failed')} failed`);
  if (count('failed') > 0) process.exitCode = ExitCode.failed;
}

const marks = { ok: pc.green('ok     '), warning: pc.yellow('warning'), failed: pc.red('failed ') };

function print({ check, state, detail, remedy }: Finding): void {
  printLine(`${marks[state]}  ${check}: ${detail}`);
  if (remedy !== undefined) printLine(`         ${pc.dim('try:')} ${remedy}`);
}
