import assert from 'node:assert/strict';
import { tracingSettings } from './settings.ts';

describe('OTEL_* variables', () => {
  it('trace nothing unless an exporter or an endpoint is named', () => {
    assert.equal(tracingSettings({}), null);
    assert.equal(tracingSettings({ OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' }), null);
    assert.equal(tracingSettings({ OTEL_SDK_DISABLED: 'TRUE', OTEL_TRACES_EXPORTER: 'otlp' }), null);
    assert.equal(tracingSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }), null);
    for (const name of ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']) {
      assert.equal(tracingSettings({ [name]: 'http://127.0.0.1:4318' })?.exporter, 'otlp');
    }
    assert.equal(tracingSettings({ OTEL_TRACES_EXPORTER: 'zipkin' })?.exporter, 'zipkin');
  });

  it('choose protocol, sampler and queue as OpenTelemetry says', () => {
    const on = { OTEL_TRACES_EXPORTER: 'otlp' };
    assert.equal(tracingSettings(on)?.protocol, 'http/protobuf');
    assert.equal(tracingSettings({ ...on, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' })?.protocol, 'grpc');
    const both = { ...on, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json' };
    assert.equal(tracingSettings(both)?.protocol, 'http/json');
    const ratio = tracingSettings({ ...on, OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.01' });
    assert.deepEqual(ratio?.sampler, { root: 'ratio', ratio: 0.01, parentBased: true });
    assert.deepEqual(tracingSettings({ ...on, OTEL_TRACES_SAMPLER: 'always_on' })?.sampler, {
      root: 'always',
      ratio: 1,
      parentBased: false,
    });
    assert.deepEqual(tracingSettings(on)?.sampler, { root: 'perSecond', ratio: 1, parentBased: true });
    assert.equal(tracingSettings({ ...on, OTEL_BSP_MAX_QUEUE_SIZE: '10' })?.queue.spansMax, 10);
  });

  for (const [name, value, remedy] of [
    ['OTEL_TRACES_EXPORTER', 'jaeger', /otlp, zipkin, console, none/],
    ['OTEL_TRACES_SAMPLER', 'sometimes', /parentbased_traceidratio/],
    ['OTEL_TRACES_SAMPLER', 'unset', /parentbased_traceidratio/],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'carrier-pigeon', /http\/protobuf/],
    ['OTEL_BSP_MAX_QUEUE_SIZE', '0', /1 or more/],
    ['OTEL_BSP_SCHEDULE_DELAY', 'soon', /whole number/],
  ] as const) {
    it(`refuse ${name}=${value} and say what may stand there`, () => {
      const env = { OTEL_TRACES_EXPORTER: 'otlp', [name]: value };
      assert.throws(() => tracingSettings(env), { field: name, remedy });
    });
  }

  it('refuse a share that is none', () => {
    const env = { OTEL_TRACES_EXPORTER: 'otlp', OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '101' };
    assert.throws(() => tracingSettings(env), { field: 'OTEL_TRACES_SAMPLER_ARG' });
  });
});
