import { TargetState } from '@rocketmq-connect/proto/common';
import { ConfigError } from '@rocketmq-connect/sdk';

/** A target state that somebody asks for, if this version knows what it means. Throws `ConfigError`. */
export function knownTargetState(field: string, state: TargetState): TargetState {
  if (state !== TargetState.UNSPECIFIED && state !== TargetState.UNRECOGNIZED) return state;
  throw new ConfigError('a target state must be RUNNING, PAUSED or STOPPED', {
    field,
    remedy: 'ask for one of these, or upgrade config-service if a newer version knows another',
  });
}
