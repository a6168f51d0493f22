export { configurationMarkdown, type SettingInfo, settingInfos } from './describe.ts';
export { type LoadedSettings, loadSettings, type SettingSources } from './load.ts';
export { type Settings, SettingsSchema } from './settings.ts';
