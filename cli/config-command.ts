import { settingInfos } from '@rocketmq-connect/configuration';
import { printJson, printLine } from './output.ts';
import { settingsFrom } from './settings.ts';

export function printConfig(options: Readonly<Record<string, unknown>>): void {
  const { settings, origins } = settingsFrom(options);
  if (options['json']) return printJson({ settings, origins });
  for (const info of settingInfos) {
    const value = info.path.split('.').reduce<unknown>((node, part) => (node as Record<string, unknown>)[part], settings);
    printLine(`${info.path}: ${JSON.stringify(value)}  # ${origins[info.path]}`);
  }
}
