import { type LoadedSettings, loadSettings, settingInfos } from '@rocketmq-connect/configuration';

/** Settings from the options that commander parsed (camel-cased flags). */
export function settingsFrom(options: Readonly<Record<string, unknown>>): LoadedSettings {
  const flags: Record<string, string | boolean> = {};
  for (const info of settingInfos) {
    const name = info.flag.slice(2);
    const value = options[name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())];
    if (typeof value === 'string' || typeof value === 'boolean') flags[name] = value;
  }
  const file = options['config'];
  return loadSettings({ flags, env: process.env, cwd: process.cwd(), ...(typeof file === 'string' ? { file } : {}) });
}
