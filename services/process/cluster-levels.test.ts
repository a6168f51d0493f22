import assert from 'node:assert/strict';
import { Loggers } from '@rocketmq-connect/telemetry/loggers';
import { type ConfigMesh, configMesh } from '../../test/support/config-mesh.ts';
import { recordingLogger } from '../../test/support/quiet-logger.ts';
import { followClusterLevels } from './cluster-levels.ts';

describe('the log levels of the cluster', () => {
  let mesh: ConfigMesh;
  let unfollow: (() => void)[];
  const logged: string[] = [];
  beforeEach(async () => {
    mesh = await configMesh();
    unfollow = [];
    logged.length = 0;
  });
  afterEach(async () => {
    for (const end of unfollow) end();
    await mesh.close();
  });

  /** The loggers of a process that starts now, at level info. */
  const started = async (name: string): Promise<Loggers> => {
    const { clock, keys, store } = mesh;
    const loggers = new Loggers('info', () => clock.now());
    unfollow.push(followClusterLevels({ store: store.client(name), keys, clock, log: recordingLogger(logged), loggers }));
    await clock.advance(10);
    return loggers;
  };
  const set = async (logger: string, level: string): Promise<bigint> => {
    const { modifiedMs } = await mesh.run(mesh.clusterLoggers.setClusterLevel({ logger, level }));
    await mesh.clock.advance(10);
    return modifiedMs;
  };
  const takeBack = async (logger: string): Promise<void> => {
    await mesh.run(mesh.clusterLoggers.removeClusterLevel({ logger }));
    await mesh.clock.advance(10);
  };
  const levels = (loggers: Loggers): string =>
    loggers
      .list()
      .map(({ name, level, scope }) => `${name} ${level} ${scope}`)
      .join(', ');

  it('hold in every process that follows them, in one that starts later, and in one that was cut off', async () => {
    const [first, cutOff] = [await started('p1'), await started('p2')];
    mesh.store.client('p2').partition();
    const modifiedMs = await set('connectors', 'debug');
    await set('root', 'warn');
    const expected = 'root warn cluster, connectors debug cluster';
    assert.equal(levels(first), expected);
    assert.equal(first.get('connectors')?.modifiedMs, Number(modifiedMs));
    assert.equal(levels(await started('p3')), expected);
    assert.equal(levels(cutOff), 'root info null');
    mesh.store.client('p2').heal();
    await mesh.clock.advance(60_000);
    assert.equal(levels(cutOff), expected);
  });

  it('are taken back to what each process was started with', async () => {
    const loggers = await started('p1');
    await set('connectors.a/b', 'debug');
    await set('root', 'warn');
    assert.deepEqual([loggers.lets('connectors.a/b.0', 'debug'), loggers.lets('gateway', 'info')], [true, false]);
    await takeBack('connectors.a/b');
    await takeBack('root');
    assert.equal(levels(loggers), 'root info null');
    assert.deepEqual([loggers.lets('connectors.a/b.0', 'debug'), loggers.lets('gateway', 'info')], [false, true]);
    const error = await mesh.failure(mesh.clusterLoggers.removeClusterLevel({ logger: 'root' }));
    assert.equal(error.kind, 'notFound');
  });

  it('take those of loggers below them back, for processes that start later, too', async () => {
    const loggers = await started('p1');
    await set('connectors.a', 'trace');
    await set('connectors', 'warn');
    await set('connectors.b', 'debug');
    const expected = 'root info null, connectors warn cluster, connectors.b debug cluster';
    assert.equal(levels(loggers), expected);
    assert.equal(levels(await started('p2')), expected);
    await takeBack('connectors');
    const left = 'root info null, connectors.b debug cluster';
    assert.deepEqual([levels(loggers), levels(await started('p3'))], [left, left]);
  });

  it('give way to a level that a process is given later, and win over one that it had', async () => {
    const loggers = await started('p1');
    loggers.set('connectors', 'trace');
    await set('connectors', 'warn');
    assert.equal(levels(loggers), 'root info null, connectors warn cluster');
    loggers.set('connectors', 'debug');
    // The range is listed again now and then.
    await mesh.clock.advance(120_000);
    assert.equal(levels(loggers), 'root info null, connectors debug worker');
    await takeBack('connectors');
    assert.equal(levels(loggers), 'root info null, connectors debug worker');
  });

  it('are refused where they make no sense, and skipped where a later version gave them', async () => {
    const refused = async (logger: string, level: string) =>
      (await mesh.failure(mesh.clusterLoggers.setClusterLevel({ logger, level }))).field;
    assert.deepEqual([await refused('root', 'loud'), await refused('', 'info')], ['level', 'logger']);
    const loggers = await started('p1');
    await mesh.put(mesh.keys.logger('root'), '{"level":"louder","modifiedMs":"1"}');
    await set('connectors', 'warn');
    assert.equal(levels(loggers), 'root info null, connectors warn cluster');
    assert.match(logged.join(), /a log level 'louder' that this version does not know/);
  });

  it('are a thousand at most', async () => {
    for (let i = 0; i < 1_000; i++) await mesh.put(mesh.keys.logger(`connectors.${i}`), '{"level":"warn"}');
    const error = await mesh.failure(mesh.clusterLoggers.setClusterLevel({ logger: 'gateway', level: 'info' }));
    assert.match(error.message, /1000 loggers have a level already/);
    await set('connectors.1', 'info');
  });
});
