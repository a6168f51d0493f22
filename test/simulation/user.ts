import { TargetState } from '@rocketmq-connect/proto/common';
import { sleep } from '@rocketmq-connect/sdk';
import { SINK, SOURCE, type World } from './world.ts';

export type Action =
  | { readonly act: 'pause' | 'resume' | 'stop' | 'restart' | 'reset'; readonly connector: string }
  | { readonly act: 'reconfigure' | 'recreate'; readonly connector: string; readonly tasksMax: number };

const AGAIN_MS = 1_000;
const RESET_ATTEMPTS = 8;

/** Somebody who does things to connectors, and in the end wants all of them to run. Failures are told in the trace and otherwise ignored. */
export class User {
  readonly #world: World;
  readonly #tasksMax = new Map([
    [SOURCE, 2],
    [SINK, 2],
  ]);

  constructor(world: World) {
    this.#world = world;
  }

  async does(action: Action): Promise<void> {
    const { connectors, offsets, trace } = this.#world;
    const { connector: name } = action;
    try {
      switch (action.act) {
        case 'pause':
          await connectors.setTargetState({ name, targetState: TargetState.PAUSED });
          return;
        case 'resume':
          await connectors.setTargetState({ name, targetState: TargetState.RUNNING });
          return;
        case 'stop':
          await connectors.setTargetState({ name, targetState: TargetState.STOPPED });
          return;
        case 'restart':
          await connectors.restart({ name, includeTasks: true, onlyFailed: false });
          return;
        case 'reset':
          await connectors.setTargetState({ name, targetState: TargetState.STOPPED });
          // Refused as long as tasks are owned.
          await this.#insist(() => offsets.reset({ connector: name }));
          await connectors.setTargetState({ name, targetState: TargetState.RUNNING });
          return;
        case 'reconfigure':
          this.#tasksMax.set(name, action.tasksMax);
          await connectors.update({ name, config: this.#config(name), expectedConfigRevision: 0n });
          return;
        case 'recreate':
          this.#tasksMax.set(name, action.tasksMax);
          // A source whose offsets are forgotten sends everything again, as it should.
          await connectors.delete({ name, resetOffsets: name === SINK });
          await connectors.create({ name, config: this.#config(name), initialState: TargetState.RUNNING });
      }
    } catch (error) {
      trace.add('user', `could not ${action.act} ${name}: ${(error as Error).message}`);
    }
  }

  /** Sees to it that a connector is there and should run. */
  async wantsRunning(name: string): Promise<void> {
    const { connectors, clock, trace } = this.#world;
    for (;;) {
      try {
        const { connectors: present } = await connectors.list({ withStatus: false });
        if (present.some((connector) => connector.name === name))
          await connectors.setTargetState({ name, targetState: TargetState.RUNNING });
        else await connectors.create({ name, config: this.#config(name), initialState: TargetState.RUNNING });
        return;
      } catch (error) {
        trace.add('user', `${name} does not run yet: ${(error as Error).message}`);
        await sleep(clock, AGAIN_MS);
      }
    }
  }

  async #insist(action: () => Promise<unknown>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await action();
        return;
      } catch (error) {
        if (attempt === RESET_ATTEMPTS) throw error;
        await sleep(this.#world.clock, AGAIN_MS / 4);
      }
    }
  }

  #config(name: string): Record<string, string> {
    return this.#world.config(name, this.#tasksMax.get(name) ?? 1);
  }
}
