import { writeFileSync } from 'node:fs';
import { configurationMarkdown } from '@rocketmq-connect/configuration';
import { connectorKeysMarkdown } from '@rocketmq-connect/pipeline/config/keys-page';
import { metricsMarkdown } from '@rocketmq-connect/telemetry/metrics/catalogue';

writeFileSync(new URL('../docs/configuration.md', import.meta.url), configurationMarkdown());
writeFileSync(new URL('../docs/connectors/keys.md', import.meta.url), connectorKeysMarkdown());
writeFileSync(new URL('../docs/metrics.md', import.meta.url), metricsMarkdown());
