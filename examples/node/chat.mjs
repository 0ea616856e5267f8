// Talks to a model: node chat.mjs MODEL. Ctrl-C stops a reply, Ctrl-D ends.
import readline from 'node:readline/promises';
import { Model } from 'abyssal';

const show = (stage, done, total) =>
  process.stderr.write(`\r${stage} ${Math.floor((100 * done) / Math.max(total, 1))} %`);
const model = await Model.open(process.argv[2], { onProgress: show });
process.stderr.write(`\r${model.info.architecture}, ${model.info.layers} layers\n`);
const sequence = model.sequence(); // keeps what was computed for the turns before
const messages = [];
const lines = readline.createInterface({ input: process.stdin, output: process.stdout, prompt: '> ' });

let stop = () => lines.close();
lines.on('SIGINT', () => stop());
lines.prompt();
for await (const line of lines) {
  messages.push({ role: 'user', content: line });
  const stream = model.chat(messages, { sequence, maxTokens: 64 });
  stop = () => stream.cancel();
  let content = '';
  for await (const event of stream) {
    process.stdout.write(event.text);
    if (event.textKind === 'content') content += event.text;
  }
  messages.push({ role: 'assistant', content });
  stop = () => lines.close();
  process.stdout.write('\n');
  lines.prompt();
}
