import { defineSource, Type } from '@rocketmq-connect/sdk';

export default defineSource({
  name: 'Ticker',
  version: '1.0.0',
  config: Type.Object({ topic: Type.String({ topic: true }), 'interval.ms': Type.Integer({ default: 1000, minimum: 1 }) }),
  task: (config, context) => {
    const partition = { ticker: context.connector };
    let count = Number(context.offset(partition)?.['count'] ?? 0);
    return {
      async poll() {
        await context.sleep(config['interval.ms']);
        count++;
        return { records: [{ topic: config.topic, value: `tick ${count}`, partition, offset: { count } }] };
      },
    };
  },
});
