// The event loop, many requests, worker_threads, and the end of the process.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { Model } from 'abyssal';
import { LONG, checkpoint, shared, sleep, slow } from './support.mjs';

const run = promisify(execFile);
const GREEDY = { temperature: 0, ignoreEos: true };

test('timers and files go on during a long prompt', async () => {
  const sequences = Array.from({ length: 6 }, () => null);
  const model = await slow();
  for (const i of sequences.keys()) sequences[i] = model.sequence();
  let ticks = 0;
  const timer = setInterval(() => (ticks += 1), 5);
  let ended = false;
  const running = Promise.all(sequences.map((sequence) => sequence.eval(LONG.slice(0, 200), { chunk: 1 }))).then(
    () => (ended = true),
  );
  let reads = 0;
  while (!ended) {
    await fs.readFile(checkpoint('tiny-v3') + '/config.json');
    reads += 1;
    await sleep(1);
  }
  await running;
  clearInterval(timer);
  // An event loop that was held up would have none or one of each.
  assert.ok(ticks >= 5, `${ticks} ticks`);
  assert.ok(reads >= 5, `${reads} reads`);
});

test('many requests at once take turns', async () => {
  const model = await Model.open(checkpoint('tiny-v3'), { cacheTokens: 16384 });
  const alone = (await model.generate([5, 6, 7], { maxTokens: 300, ...GREEDY }).reply()).tokens;
  const begun = [];
  const request = async (number) => {
    const tokens = [];
    for await (const event of model.generate([5, 6, 7], { maxTokens: 300, ...GREEDY })) {
      if (event.kind !== 'token') continue;
      begun.push(number);
      tokens.push(event.token);
    }
    return tokens;
  };
  const replies = await Promise.all(Array.from({ length: 40 }, (_, number) => request(number)));
  for (const tokens of replies) assert.deepEqual(tokens, alone);
  assert.ok(begun.lastIndexOf(0) > begun.indexOf(39), 'the first request ended before the last one began');
  const ids = await Promise.all(Array.from({ length: 50 }, (_, i) => model.tokenize(`text ${i}`)));
  for (const [i, tokens] of ids.entries()) assert.equal(await model.decode(tokens), `text ${i}`);
});

const WORKER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { Model } = require('abyssal');
  (async () => {
    const model = await Model.open(workerData.path, { cacheTokens: 4096, backend: workerData.backend });
    const reply = await model.generate([5, 6, 7], { maxTokens: 6, temperature: 0, ignoreEos: true }).reply();
    parentPort.postMessage(reply.tokens);
    if (workerData.long) {
      model.generate(workerData.long, { chunk: 1 }).reply().catch(() => {});
      model.sequence().eval(workerData.long, { chunk: 1 }).catch(() => {});
      parentPort.postMessage('long');
    }
  })();
`;

function work(data) {
  const worker = new Worker(WORKER, { eval: true, workerData: { path: checkpoint('tiny-v3'), ...data } });
  const messages = [];
  worker.on('message', (message) => messages.push(message));
  return { worker, messages, ended: new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject)) };
}

test('worker_threads have models of their own', async () => {
  const wanted = (await (await shared('tiny-v3')).generate([5, 6, 7], { maxTokens: 6, ...GREEDY }).reply()).tokens;
  const workers = Array.from({ length: 4 }, () => work({}));
  for (const { ended, messages } of workers) {
    assert.equal(await ended, 0);
    assert.deepEqual(messages, [wanted]);
  }
});

test('a worker is terminated during its calls', async () => {
  for (let round = 0; round < 3; round += 1) {
    const { worker, messages } = work({ backend: 'reference', long: LONG.slice(0, 2000) });
    while (!messages.includes('long')) await sleep(5);
    await worker.terminate();
  }
});

const BUSY_WORKER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { Model } = require('abyssal');
  (async () => {
    const model = await Model.open(workerData, { cacheTokens: 4096 });
    parentPort.postMessage('open');
    for (;;) {
      await model.generate([5, 6, 7], { maxTokens: 50, temperature: 0, ignoreEos: true }).reply();
      await Promise.all([1, 2, 3].map(() => model.tokenize('text')));
    }
  })();
`;

// Nothing can be thrown into an environment that ends: what the library has to tell then is dropped.
test('a worker is terminated at any moment of its replies', async () => {
  for (let round = 0; round < 60; round += 1) {
    const worker = new Worker(BUSY_WORKER, { eval: true, workerData: checkpoint('tiny-v3') });
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    await sleep((round * 7) % 12);
    await worker.terminate();
  }
});

const SCRIPT = `
  const { Model } = require('abyssal');
  (async () => {
    const model = await Model.open(${JSON.stringify(checkpoint('tiny-v3'))}, { backend: 'reference', cacheTokens: 6016 });
    const sequence = model.sequence();
    await sequence.eval([5]);
    const long = ${JSON.stringify(LONG)};
    BODY
  })();
`;
const script = (body) => run(process.execPath, ['-e', SCRIPT.replace('BODY', body)], { timeout: 60000 });

test('the process ends by itself, and early', async () => {
  assert.equal((await script('console.log("good")')).stdout, 'good\n');
  assert.equal(
    (await script('await model.generate([5], { maxTokens: 3 }).next(); console.log("good")')).stdout,
    'good\n',
  );
  const early = script('sequence.eval(long, { chunk: 1 }); setTimeout(() => process.exit(7), 20)');
  await assert.rejects(early, (error) => error.code === 7 && error.stderr === '');
  const thrown = script('sequence.eval(long, { chunk: 1 }); setTimeout(() => { throw new Error("mine") }, 20)');
  await assert.rejects(thrown, (error) => error.code === 1 && error.stderr.includes('mine'));
});
