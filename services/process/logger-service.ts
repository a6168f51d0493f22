import { type Implementation, implement } from '@rocketmq-connect/mesh';
import { LoggerServiceDefinition } from '@rocketmq-connect/proto/logger';
import { type Loggers, setLevel } from '@rocketmq-connect/telemetry/loggers';

/** The loggers of this process, for whoever asks it by gRPC. */
export function loggerService(loggers: Loggers): Implementation {
  return implement(LoggerServiceDefinition, {
    list: async () => ({
      loggers: loggers.list().map(({ name, level, modifiedMs, scope }) => ({
        logger: name,
        level,
        modifiedMs: BigInt(modifiedMs ?? 0),
        scope: scope ?? '',
      })),
    }),
    setLevel: async ({ logger, level }) => ({ affected: [...setLevel(loggers, logger, level)] }),
  });
}
