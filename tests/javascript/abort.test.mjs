// AbortSignal, progress, and objects that are in use.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AbyssalError, Model, evalBatch } from 'abyssal';
import { LONG, MESSAGES, checkpoint, rejectsWith, shared, sleep, slow } from './support.mjs';

const aborts = (call, reason) =>
  assert.rejects(
    async () => call(),
    (error) => {
      assert.ok(error instanceof AbyssalError);
      assert.deepEqual(
        [error.name, error.code, error.status],
        ['AbortError', 'ABY_ERROR_CANCELLED', -9],
        error.message,
      );
      assert.equal(error.cause, reason);
      return true;
    },
  );

function soon(reason, ms = 20) {
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), ms);
  return controller.signal;
}

test('an evaluation is aborted, and never happened', async () => {
  const sequence = (await slow()).sequence();
  await sequence.eval([7, 8]);
  const reason = new Error('mine');
  await aborts(() => sequence.eval(LONG, { chunk: 1, signal: soon(reason) }), reason);
  assert.deepEqual([...sequence.tokens], [7, 8]);
  await sequence.eval([9]);
  const other = (await slow()).sequence();
  await aborts(() => evalBatch([sequence, other], [LONG, LONG], { chunk: 1, signal: soon('both') }), 'both');
  assert.deepEqual([sequence.length, other.length], [3, 0]);
  await aborts(() => sequence.eval([5], { signal: AbortSignal.abort('early') }), 'early');
  await sequence.eval([5], { signal: soon('late', 0) }).catch(() => {}); // either way it ends
  await rejectsWith(() => sequence.eval([5], { signal: {} }), 'ABY_ERROR_INVALID_ARGUMENT', /AbortSignal/);
});

test('a call that waits for the device is aborted too', async () => {
  const model = await slow();
  const [first, second] = [model.sequence(), model.sequence()];
  const running = first.eval(LONG, { chunk: 1 });
  const waiting = aborts(
    () =>
      second.eval(LONG, { chunk: 1, signal: AbortSignal.timeout(10) }).catch((error) => {
        Object.defineProperty(error, 'cause', { value: 'timeout' });
        throw error;
      }),
    'timeout',
  );
  await sleep(40);
  first.cancel();
  await rejectsWith(() => running, 'ABY_ERROR_CANCELLED');
  await waiting;
});

test('replies are aborted in the prompt and between tokens', async () => {
  const model = await slow();
  await aborts(() => model.generate(LONG, { chunk: 1, signal: soon('prompt') }).reply(), 'prompt');
  const sequence = model.sequence();
  const controller = new AbortController();
  const read = [];
  await aborts(async () => {
    for await (const event of sequence.generate([5, 6], { ignoreEos: true, signal: controller.signal })) {
      if (event.kind === 'token') read.push(event.token);
      if (read.length === 2) controller.abort('enough');
    }
  }, 'enough');
  assert.deepEqual([...sequence.tokens], [5, 6, ...read]);
  await aborts(() => model.chat(MESSAGES, { signal: AbortSignal.abort(1) }).reply(), 1);
});

test('an event that is being made while its reply is aborted still comes, or never was', async () => {
  const model = await slow();
  for (let round = 0; round < 10; round += 1) {
    const sequence = model.sequence();
    const controller = new AbortController();
    const read = [];
    await aborts(async () => {
      for await (const event of sequence.generate([5, 6], { ignoreEos: true, signal: controller.signal })) {
        if (event.kind === 'token') read.push(event.token);
        if (read.length === 2) setTimeout(() => controller.abort('soon'), round % 3);
      }
    }, 'soon');
    assert.deepEqual([...sequence.tokens], [5, 6, ...read]);
    sequence.close();
  }
});

test('any object like an AbortSignal is taken', async () => {
  const listeners = new Set();
  const signal = {
    aborted: false,
    addEventListener: (_, listener) => listeners.add(listener),
    removeEventListener: (_, listener) => listeners.delete(listener),
  };
  setTimeout(() => {
    signal.aborted = true;
    for (const listener of listeners) listener();
  }, 20);
  const sequence = (await slow()).sequence();
  await aborts(() => sequence.eval(LONG, { chunk: 1, signal }), undefined);
  assert.equal(listeners.size, 0);
});

test('opening tells its progress, and is aborted', async () => {
  const seen = [];
  await Model.open(checkpoint('tiny-v3'), { onProgress: (...call) => seen.push(call) });
  assert.ok(seen.length > 0);
  assert.ok(seen.every(([stage, done, total]) => ['read', 'weights'].includes(stage) && done >= 0 && done <= total));
  await aborts(() => Model.open(checkpoint('tiny-v3'), { signal: AbortSignal.abort('no') }), 'no');
  await aborts(() => Model.plan(checkpoint('tiny-v3'), { signal: AbortSignal.abort('no') }), 'no');
  const fail = () => {
    throw new RangeError('of the callback');
  };
  await assert.rejects(Model.open(checkpoint('tiny-v3'), { onProgress: fail }), /of the callback/);
  await rejectsWith(() => Model.open(checkpoint('tiny-v3'), { onProgress: 3 }), 'ABY_ERROR_INVALID_ARGUMENT');
});

test('a sequence is refused while a call uses it', async () => {
  const sequence = (await slow()).sequence();
  const running = sequence.eval(LONG, { chunk: 1 });
  for (const call of [
    () => sequence.eval([5]),
    () => sequence.logits,
    () => sequence.length,
    () => sequence.truncate(0),
    () => sequence.fork(),
    () => sequence.generate([5]).reply(),
  ])
    await rejectsWith(call, 'ABY_ERROR_BUSY');
  sequence.cancel();
  await rejectsWith(() => running, 'ABY_ERROR_CANCELLED');
  sequence.cancel(); // nothing runs
  await sequence.eval([5]);
});

test('closing everything during a call', async () => {
  const model = await Model.open(checkpoint('tiny-v3'), { backend: 'reference', cacheTokens: 6016 });
  const sequence = model.sequence();
  const running = sequence.eval(LONG, { chunk: 1 });
  const stream = model.generate([5], { ignoreEos: true });
  await sleep(10);
  model.close();
  sequence.close();
  await rejectsWith(() => running, 'ABY_ERROR_CANCELLED');
  await rejectsWith(() => stream.reply(), 'ABY_ERROR_STATE');
  assert.ok(model.closed && sequence.closed);
  model.close();
  sequence.close();
});

test('a signal is let go of', async () => {
  const controller = new AbortController();
  const { getEventListeners } = await import('node:events');
  const model = await shared('tiny-v3');
  await model.generate([5], { maxTokens: 2, signal: controller.signal }).reply();
  await model.sequence().eval([5], { signal: controller.signal });
  assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
});
