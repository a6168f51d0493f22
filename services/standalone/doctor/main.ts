import { dirname } from 'node:path';
import type { LoadedSettings, Settings } from '@rocketmq-connect/configuration';
import { loadCatalogue } from '@rocketmq-connect/pipeline/plugins/catalogue';
import { checkExposure } from '@rocketmq-connect/process/exposure';
import { builtInConnectors } from '@rocketmq-connect/task-runner-service/hosts/built-in';
import { checkEtcd } from './etcd.ts';
import { type Finding, failed, failedOf, ok } from './finding.ts';
import { checkMachine } from './machine.ts';
import { checkRocketmq } from './rocketmq.ts';

export type { Finding } from './finding.ts';

/** Looks at all that a process with these settings needs, and says for each what to do. Changes nothing. */
export async function examine({ settings, file }: LoadedSettings, onFinding: (finding: Finding) => void): Promise<void> {
  const baseDirectory = file === '' ? process.cwd() : dirname(file);
  const tell = (findings: readonly Finding[]): void => findings.forEach(onFinding);
  tell([ok('settings', file === '' ? 'from flags and the environment' : file), checkOpenness(settings)]);
  tell(checkMachine(settings));
  tell(await checkEtcd(settings, baseDirectory));
  tell(await checkRocketmq(settings, baseDirectory));
  tell(await checkPlugins(settings, baseDirectory));
}

function checkOpenness(settings: Settings): Finding {
  try {
    checkExposure(settings);
    return ok('exposure', settings.insecure ? 'plain connections are allowed (insecure)' : 'nothing crosses a network in clear');
  } catch (error) {
    return failedOf('exposure', error, 'see docs/configuration.md');
  }
}

/** They are loaded here as in a task host: what a module does when it is loaded, it does now. */
async function checkPlugins(settings: Settings, baseDirectory: string): Promise<readonly Finding[]> {
  const { plugins } = settings;
  const importing = <T>(_plugin: string, load: () => Promise<T>): Promise<T> => load();
  const catalogue = await loadCatalogue({ builtIn: builtInConnectors, plugins, baseDirectory, importing });
  const broken = catalogue.broken.map(({ location, error }) => {
    return failed(`plugin ${location}`, error, 'mend it, or take it out of `plugins`: it is left out when a runner starts');
  });
  return [ok('plugins', `${catalogue.info().length} are loaded`), ...broken];
}
