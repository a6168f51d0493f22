import { writeFileSync } from 'node:fs';
import { configurationMarkdown } from '@rocketmq-connect/configuration';

writeFileSync(new URL('../docs/configuration.md', import.meta.url), configurationMarkdown());
