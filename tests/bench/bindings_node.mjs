// Greedy decoding through the Node.js package: as bindings_c.c, with which its rate is compared.
// Usage: node bindings_node.mjs MODEL [TOKENS [ROUNDS]], where the package is installed.
import { Model } from 'abyssal';

const [path, tokens = 1000, rounds = 9] = process.argv.slice(2);
const maxTokens = Number(tokens);
const model = await Model.open(path);

// Seconds of a whole reply: a short prompt, and its tokens.
async function decode() {
  const begin = process.hrtime.bigint();
  let drawn = 0;
  for await (const event of model.generate([5, 6, 7], { maxTokens, temperature: 0, ignoreEos: true })) {
    if (event.kind === 'token') drawn += 1;
  }
  if (drawn !== maxTokens) throw new Error(`${drawn} tokens of ${maxTokens}; the context is too short`);
  return Number(process.hrtime.bigint() - begin) / 1e9;
}

await decode();
const rates = [];
for (let i = 0; i < Number(rounds); i += 1) rates.push(maxTokens / (await decode()));
rates.sort((a, b) => a - b);
const round = (value) => Math.round(value * 10) / 10;
console.log(
  JSON.stringify({
    language: 'javascript',
    tokens_per_second: round(rates[rates.length >> 1]),
    lowest: round(rates[0]),
    highest: round(rates.at(-1)),
  }),
);
