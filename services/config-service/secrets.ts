import { isSecretName } from '@rocketmq-connect/sdk';
import type { Config } from './config-input.ts';

/** What stands for a secret wherever a configuration is shown. Sent back, it keeps the stored value. */
export const MASK = '********';

/** A configuration as it may be shown: literal secrets masked; references such as `${env:X}` tell nothing and stay. */
export function maskSecrets(config: Config, secretKeys: readonly string[]): { [key: string]: string } {
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key, isLiteralSecret(key, value, secretKeys) ? MASK : value]));
}

/**
 * A configuration that was shown with masks and comes back: masked values are the stored ones again. `kept` names those keys: they stay
 * secret even if the (perhaps different) plugin's schema does not say so, else a change of the class would reveal them.
 */
export function unmaskSecrets(
  config: Config,
  stored: Config,
  storedSecretKeys: readonly string[],
): { config: Config; kept: readonly string[] } {
  const kept = Object.keys(config).filter((key) => {
    const before = stored[key];
    return config[key] === MASK && before !== undefined && isLiteralSecret(key, before, storedSecretKeys);
  });
  return { config: { ...config, ...Object.fromEntries(kept.map((key) => [key, stored[key] ?? ''])) }, kept };
}

/** The keys whose values are written out although they are secret. */
export function literalSecrets(config: Config, secretKeys: readonly string[]): readonly string[] {
  return Object.keys(config).filter((key) => isLiteralSecret(key, config[key] ?? '', secretKeys));
}

function isLiteralSecret(key: string, value: string, secretKeys: readonly string[]): boolean {
  return value !== '' && !ONLY_REFERENCES.test(value) && (secretKeys.includes(key) || isSecretName(key));
}

const ONLY_REFERENCES = /^(\$\{(env|file):[^}]*\})+$/;
