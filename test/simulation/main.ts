import { run } from './run.ts';

const result = await run({ seed: Number(process.argv[2] ?? 1) });
console.log(result.trace.join('\n'));
console.log(result.violation, result.records, result.virtualMs);
