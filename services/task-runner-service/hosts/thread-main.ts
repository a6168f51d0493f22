import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '@rocketmq-connect/configuration/system-clock';
import { connectEmbeddedLog, type EmbeddedLogConnection } from '@rocketmq-connect/message-log/embedded/client';
import { createHostRuntime } from '@rocketmq-connect/pipeline/host/host-runtime';
import type { HostCommand } from '@rocketmq-connect/pipeline/host-protocol';
import { loadCatalogue } from '@rocketmq-connect/pipeline/plugins/catalogue';
import { DeadlineWord } from '@rocketmq-connect/pipeline/task-host';
import { builtInConnectors } from './built-in.ts';
import type { ThreadHostData } from './thread-hosts.ts';

// The entry of a host thread. It imports the data path only: each host pays for what is imported here.
const { log, deadline, plugins, baseDirectory } = workerData as ThreadHostData;
