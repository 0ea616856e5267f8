// Garbage collection in any order, and memory that does not grow. Run with --expose-gc.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Device, Model } from 'abyssal';
import { checkpoint, shared, sleep } from './support.mjs';

const open = () => Model.open(checkpoint('tiny-v2-lite'), { cacheTokens: 256, threads: 1 });

async function collect() {
  for (let i = 0; i < 3; i += 1) {
    globalThis.gc();
    await sleep(5);
  }
}

async function settledRss() {
  await collect();
  return process.memoryUsage().rss / 2 ** 20;
}

test('collection in any order', async () => {
  assert.equal(typeof globalThis.gc, 'function');
  const makers = [
    async () => {
      const sequence = (await open()).sequence(); // the model goes first
      await collect();
      await sequence.eval([5, 6]);
      return sequence.logits;
    },
    async () => {
      const stream = (await open()).sequence().generate([5, 6], { temperature: 0, ignoreEos: true });
      await stream.next();
      await collect();
      assert.equal((await stream.next()).value.kind, 'token');
    },
    async () => {
      (await open()).generate([5, 6], { ignoreEos: true }).next(); // all go during a step
      await collect();
    },
    async () => {
      void (await open()).sequence().eval([5, 6, 7]);
      await collect();
    },
    async () => {
      let device = new Device({ threads: 1 });
      const model = await Model.open(checkpoint('tiny-v2-lite'), { device, cacheTokens: 64 });
      device = null;
      await collect();
      const fork = model.sequence().fork();
      model.close();
      await collect();
      await fork.eval([5]);
    },
  ];
  for (let round = 0; round < 3; round += 1) for (const maker of makers) await maker();
  await Promise.all(makers.map((maker) => maker()));
  await collect();
});

test('a reply that nobody reads on frees its sequence', async () => {
  const model = await open();
  const sequence = model.sequence();
  await (async () => {
    const stream = sequence.generate([5, 6], { ignoreEos: true });
    await stream.next();
  })();
  for (let i = 0; i < 100; i += 1) {
    await collect();
    try {
      return assert.ok(sequence.length >= 2);
    } catch (error) {
      assert.equal(error.code, 'ABY_ERROR_BUSY');
    }
  }
  assert.fail('the sequence is still in use');
});

test('what nobody holds any more finishes the calls that were started', async () => {
  const model = await open();
  const first = model.sequence().eval(Array.from({ length: 200 }, (_, i) => 5 + i)); // the others wait for their turn
  const others = [1, 2, 3].map((i) => model.sequence().eval([5, i]));
  const tokens = (await open()).tokenize('47 * 6');
  await collect();
  await Promise.all([first, ...others, tokens]);
});

const GROWTH = 8; // MiB; a leaked model of this size would be 5 MiB a time, a leaked reply some KiB

test('200 models opened and closed do not grow the process', async () => {
  const cycle = async () => {
    const model = await open();
    const sequence = model.sequence();
    await sequence.eval([5, 6, 7]);
    sequence.close();
    model.close();
  };
  for (let i = 0; i < 40; i += 1) await cycle();
  const before = await settledRss();
  for (let i = 0; i < 200; i += 1) await cycle();
  const after = await settledRss();
  assert.ok(after - before < GROWTH, `${before} MiB became ${after} MiB`);
});

test('2000 replies do not grow the process', async () => {
  const model = await shared('tiny-v2-lite', { cacheTokens: 1024 });
  const some = async (count) => {
    for (let i = 0; i < count; i += 1)
      await model.generate([5, 6, 7], { maxTokens: 3, seed: i, ignoreEos: true }).reply();
  };
  await some(600);
  const before = await settledRss();
  await some(2000);
  const after = await settledRss();
  assert.ok(after - before < GROWTH, `${before} MiB became ${after} MiB`);
});
