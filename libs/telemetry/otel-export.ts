import {
  detectResources,
  type Resource,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources';
import { RetriableError } from '@rocketmq-connect/sdk';
import type { AttributeValue } from '@rocketmq-connect/tracing';

/** What OpenTelemetry's exporters of spans and of metrics have in common. */
interface Exporter<T> {
  export(data: T, onDone: (result: { readonly code: number; readonly error?: Error }) => void): void;
}

/** `own` names this process: `service.name` and the like; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES count for more. */
export function exportResource(own: Readonly<Record<string, AttributeValue>>): Resource {
  const given = detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] });
  return resourceFromAttributes({ ...own }).merge(given);
}

/** Resolves when it is sent. Rejects with what the exporter says. */
export function exported<T>(exporter: Exporter<T>, data: T): Promise<void> {
  return new Promise((resolve, reject) => {
    exporter.export(data, ({ code, error }) => {
      if (code === EXPORTED) resolve();
      else reject(error ?? new RetriableError('the exporter gave no reason'));
    });
  });
}

/** ExportResultCode.SUCCESS */
const EXPORTED = 0;
