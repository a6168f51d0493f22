import { registerHooks } from 'node:module';

/**
 * From now on a module of this thread that imports the SDK and has none installed beside it gets ours: a plugin may be a single file
 * anywhere on the disk. One that brings its own keeps it.
 */
export function offerOwnSdk(): void {
  registerHooks({
    resolve: (specifier, context, next) => {
      try {
        return next(specifier, context);
      } catch (error) {
        if (!SDK.test(specifier) || (error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
        return next(specifier, { ...context, parentURL: import.meta.url });
      }
    },
  });
}

const SDK = /^@rocketmq-connect\/sdk(\/|$)/;
