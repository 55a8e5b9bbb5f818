/** `npm run fuzz:facts -- --seed N --inputs N`: damaged texts of every format, without a crash or an undocumented error. */
import { parseArgs } from 'node:util';
import { fuzzFacts } from './facts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    inputs: { type: 'string', default: '200000' },
  },
});
const [seed, inputs] = [Number(values.seed), Number(values.inputs)];
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(inputs) || inputs < 1) {
  console.error('usage: npm run fuzz:facts -- --seed N --inputs N');
  process.exit(2);
}
const { accepted, refused, formats } = fuzzFacts(seed, inputs);
console.log(`seed ${seed}: ${inputs} inputs, ${accepted} read, ${refused} refused, none otherwise`);
for (const [name, count] of Object.entries(formats).sort(([a], [b]) => (a < b ? -1 : 1)))
  console.log(`  ${name.padEnd(18)} ${String(count).padStart(8)}`);
