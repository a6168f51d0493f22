import assert from 'node:assert/strict';
import { ConfigError } from '@rocketmq-connect/sdk';
import type { LogLevel } from './log-levels.ts';
import { Loggers } from './loggers.ts';
import { createLogger, type LoggerOptions } from './pino.ts';

describe('createLogger', () => {
  it('writes JSON lines with the level by name, the time, the message and the fields of all parents', () => {
    const { log, json } = capture({});
    log.child({ connector: 'orders' }).child({ task: 0 }).info('started', { phase: 'start' });
    const [line] = json();
    assert.deepEqual(
      { ...line, time: undefined },
      { level: 'info', time: undefined, connector: 'orders', task: 0, phase: 'start', msg: 'started' },
    );
    assert.match(String(line?.['time']), /^\d{4}-\d\d-\d\dT/);
  });

  it('changes the level at run time for children that exist already', () => {
    const { log, loggers, json } = capture({}, 'warn');
    const child = log.child({ connector: 'orders' });
    child.info('hidden');
    loggers.set('root', 'debug');
    child.debug('shown');
    loggers.set('root', 'silent');
    child.error('hidden again');
    assert.deepEqual(
      json().map((line) => line['msg']),
      ['shown'],
    );
  });

  it('judges a line by the logger that it belongs to: a service, a connector, a task', () => {
    const { log, loggers, json } = capture({});
    const service = log.child({ service: 'task-runner' }).child({ runner: 'r1' });
    const task = service.child({ connector: 'orders', task: 1 });
    assert.deepEqual(loggers.set('connectors.orders', 'debug'), ['connectors.orders', 'connectors.orders.1']);
    service.debug('hidden');
    task.debug('shown 1');
    service.debug('shown 2', { connector: 'orders', task: 0 });
    loggers.set('connectors.orders.1', 'silent');
    task.error('hidden');
    assert.deepEqual(loggers.set('task-runner', 'trace'), ['task-runner']);
    service.debug('shown 3');
    log.child({ connector: 'other' }).debug('hidden');
    assert.deepEqual(
      json().map((line) => line['msg']),
      ['shown 1', 'shown 2', 'shown 3'],
    );
  });

  it('masks secrets at any depth, in children, maps and arrays', () => {
    const { log, lines } = capture({});
    const hidden = 'hunter2';
    log.child({ token: hidden }).info('x', {
      password: hidden,
      Authorization: hidden,
      config: { 'db.password': hidden, list: [{ 'ssl.keystore.password': hidden }], plain: 'seen' },
      map: new Map([['secret', hidden]]),
    });
    assert.doesNotMatch(lines().join(''), /hunter2/);
    assert.match(lines().join(''), /"plain":"seen"/);
  });

  it('shows what an error tells: remedy of ours, stack and cause of others', () => {
    const { log, json } = capture({});
    log.error('failed', { error: new ConfigError('no file', { field: 'file', remedy: 'name one' }) });
    log.error('failed', { error: new TypeError('boom', { cause: new Error('why') }) });
    const [ours, others] = json().map((line) => line['error'] as Record<string, unknown>);
    assert.deepEqual(ours, {
      name: 'ConfigError',
      kind: 'config',
      code: 'CONFIG_INVALID',
      message: 'no file',
      field: 'file',
      remedy: 'name one',
    });
    assert.match(String(others?.['stack']), /TypeError: boom\n/);
    assert.equal((others?.['cause'] as Error | undefined)?.message, 'why');
  });

  it('survives values that JSON cannot hold', () => {
    const { log, json } = capture({});
    const circular: Record<string, unknown> = { big: 2n ** 60n, bytes: Buffer.from('abc'), at: new Date(0) };
    circular['self'] = circular;
    log.info('x', circular);
    const [line] = json();
    assert.deepEqual([line?.['big'], line?.['bytes'], line?.['at']], ['1152921504606846976', '<3 bytes>', '1970-01-01T00:00:00.000Z']);
  });

  it('writes one line for people on a terminal', () => {
    const { log, lines } = capture({ pretty: true });
    log.child({ connector: 'my orders' }).warn('slow\nERROR forged \u001b[2J', { token: 12n, topic: 'a.b' });
    assert.equal(lines().length, 1);
    assert.match(
      lines()[0] ?? '',
      /^\d\d:\d\d:\d\d\.\d{3} WARN {2}slow\\nERROR forged \\u001b\[2J connector="my orders" token=12 topic=a\.b\n$/,
    );
  });

  it('colours pretty lines only when asked', () => {
    const { log, lines } = capture({ pretty: true, color: true });
    log.info('x');
    assert.ok(lines()[0]?.includes('\u001b[32mINFO '), lines()[0]);
  });
});

function capture(options: Partial<LoggerOptions>, level: LogLevel = 'info') {
  const loggers = new Loggers(level, () => 0);
  const written: string[] = [];
  const log = createLogger({
    loggers,
    pretty: false,
    color: false,
    destination: { write: (line) => written.push(line) },
    ...options,
  });
  return { log, loggers, lines: () => written, json: () => written.map((line) => JSON.parse(line) as Record<string, unknown>) };
}
