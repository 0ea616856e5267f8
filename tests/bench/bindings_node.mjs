// JavaScript's part of bindings.py and memory.py: does what the lines of standard input ask for, as bindings_c.c.
// Usage: node [--expose-gc] bindings_node.mjs MODEL, where the package is installed.
import readline from 'node:readline';
import { Model } from 'abyssal';

const path = process.argv[2];
const seconds = () => Number(process.hrtime.bigint()) / 1e9;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let shared;
const open = () => (shared ??= Model.open(path));

// What was dropped goes, in the collector and on the threads that it hands it to.
async function settle() {
  for (let i = 0; i < 3; i += 1) {
    globalThis.gc();
    await sleep(20);
  }
}

const commands = {
  async decode(maxTokens) {
    const model = await open();
    const begin = seconds();
    let digest = 0;
    for await (const event of model.generate([5, 6, 7], { maxTokens, temperature: 0, ignoreEos: true })) {
      if (event.kind === 'token') digest = (Math.imul(31, digest) + event.token) >>> 0;
    }
    return { seconds: seconds() - begin, digest };
  },

  async logits(tokens) {
    const sequence = (await open()).sequence();
    const prompt = Int32Array.from({ length: tokens }, (_, i) => 5 + (i % 500));
    const begin = seconds();
    await sequence.eval(prompt, { logits: tokens });
    const evaluated = seconds();
    const logits = sequence.logits;
    const ways = { Float32Array: seconds() - evaluated };
    sequence.close();
    return { eval: evaluated - begin, ways, elements: logits.length, last: logits.at(-1) };
  },

  async cycles(count) {
    for (let i = 0; i < count; i += 1) {
      const model = await Model.open(path);
      const sequence = model.sequence();
      await sequence.eval([5, 6, 7]);
      void sequence.logits;
      sequence.close();
      model.close();
    }
    await settle();
    return {};
  },

  async replies(count, maxTokens) {
    const model = await open();
    for (let i = 0; i < count; i += 1)
      await model.generate('What is 47 * 6 + 12?', { maxTokens, temperature: 0, ignoreEos: true }).reply();
    await settle();
    return {};
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [command, ...numbers] = line.split(' ');
  console.log(JSON.stringify(await commands[command](...numbers.map(Number))));
}
