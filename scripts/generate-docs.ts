import { writeFileSync } from 'node:fs';
import { configurationMarkdown } from '@rocketmq-connect/configuration';
import { metricsMarkdown } from '@rocketmq-connect/telemetry/metrics/catalogue';

writeFileSync(new URL('../docs/configuration.md', import.meta.url), configurationMarkdown());
writeFileSync(new URL('../docs/metrics.md', import.meta.url), metricsMarkdown());
