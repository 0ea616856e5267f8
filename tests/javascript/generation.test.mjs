// Replies: whole, as streams, with sampling and limits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Event, Model } from 'abyssal';
import { MESSAGES, checkpoint, eventsOf, rejectsWith, shared, sleep } from './support.mjs';

const model = await shared('tiny-v3');
const GREEDY = { temperature: 0, ignoreEos: true };

test('a stream equals the reply', async () => {
  const options = { maxTokens: 40, temperature: 0.8, seed: 4 };
  const reply = await model.chat(MESSAGES, options).reply();
  const events = await eventsOf(model.chat(MESSAGES, options));
  assert.ok(events.every((event) => event instanceof Event));
  assert.deepEqual(
    events.slice(0, 2).map(({ kind }) => kind),
    ['prompt', 'token'],
  );
  assert.equal(events.at(-1).kind, 'end');
  assert.equal(events.map(({ text }) => text).join(''), reply.text);
  assert.deepEqual(
    events.filter(({ kind }) => kind === 'token').map(({ token }) => token),
    reply.tokens,
  );
  assert.equal(events.at(-1).finishReason, reply.finishReason);
  assert.equal(events.at(-1).completionTokens, reply.usage.completionTokens);
  assert.ok(events.slice(0, -1).every(({ finishReason }) => finishReason === null));
  assert.equal(reply.usage.promptTokens, (await model.tokenize(await model.renderChat(MESSAGES))).length);
});

test('reasoning is told from content', async () => {
  const reply = await model.chat(MESSAGES, { maxTokens: 5, ...GREEDY }).reply();
  assert.ok(reply.reasoning.length > 0);
  assert.equal(reply.content, '');
  assert.equal(reply.usage.reasoningTokens, 5);
  const prompt = await model.renderChat(MESSAGES);
  const plain = await model.generate(await model.tokenize(prompt), { maxTokens: 5, ...GREEDY }).reply();
  assert.equal(plain.content, reply.reasoning);
  const after = await model.tokenize(`${prompt}hm</think>`);
  const content = await model.generate(after, { maxTokens: 5, plain: false, ...GREEDY }).reply();
  assert.ok(content.content.length > 0);
  assert.equal(content.usage.reasoningTokens, 0);
});

test('seeds and sampling', async () => {
  const draw = async (options) =>
    (await model.generate([5, 6, 7], { maxTokens: 12, ignoreEos: true, ...options }).reply()).tokens;
  const greedy = await draw({ temperature: 0 });
  assert.deepEqual(await draw({ temperature: 5, seed: 1 }), await draw({ temperature: 5, seed: 1n }));
  assert.notDeepEqual(await draw({ temperature: 5, seed: 1 }), await draw({ temperature: 5, seed: 2n ** 64n - 1n }));
  for (const options of [{ topK: 1 }, { topP: 1e-6 }, { minP: 1 }])
    assert.deepEqual(await draw({ temperature: 5, ...options }), greedy);
});

test('stop tokens, and prompts in chunks', async () => {
  const free = await model.generate([5, 6, 7], { maxTokens: 12, ...GREEDY }).reply();
  const stop = free.tokens[4];
  const events = await eventsOf(model.generate([5, 6, 7], { ...GREEDY, stopTokens: [stop] }));
  const drawn = events.filter(({ kind }) => kind === 'token').map(({ token }) => token);
  assert.deepEqual(drawn, free.tokens.slice(0, free.tokens.indexOf(stop)));
  assert.deepEqual([events.at(-1).finishReason, events.at(-1).token], ['stop', stop]);
  const chunks = await eventsOf(model.generate(new Array(30).fill(5), { maxTokens: 1, chunk: 8, ...GREEDY }));
  assert.deepEqual(
    chunks.filter(({ kind }) => kind === 'prompt').map(({ promptDone }) => promptDone),
    [8, 16, 24, 30],
  );
});

test('leaving a loop: the sequence holds what was read, and nothing more', async () => {
  const sequence = model.sequence();
  await sequence.eval([9, 8]);
  const read = [];
  for await (const event of sequence.generate([5, 6, 7], GREEDY)) {
    if (event.kind === 'token') read.push(event.token);
    if (read.length === 3) break;
  }
  assert.deepEqual([...sequence.tokens], [9, 8, 5, 6, 7, ...read.slice(0, 2)]);
  const rest = await sequence.generate([read[2]], { maxTokens: 3, ...GREEDY }).reply();
  const whole = await model.generate([9, 8, 5, 6, 7], { maxTokens: 6, ...GREEDY }).reply();
  assert.deepEqual([...read, ...rest.tokens], whole.tokens);
});

test('leaving the loop of a reply that has ended meanwhile', async () => {
  const sequence = model.sequence();
  for await (const event of sequence.generate([5, 6, 7], { maxTokens: 8, ...GREEDY })) {
    if (event.completionTokens < 2) continue;
    await sleep(30);
    break;
  }
  assert.equal(sequence.length, 4);
});

test('leaving a loop gives the cache back', async () => {
  const small = await Model.open(checkpoint('tiny-v3'), { cacheTokens: 64 });
  for (let i = 0; i < 3; i += 1) {
    for await (const event of small.generate(new Array(40).fill(5), { ignoreEos: true }))
      if (event.completionTokens === 3) break;
  }
  const stream = small.generate(new Array(40).fill(5), { ignoreEos: true });
  await stream.next();
  await stream.close();
  assert.deepEqual(await stream.next(), { value: undefined, done: true });
  const full = await small.generate(new Array(60).fill(5), GREEDY).reply();
  assert.equal(full.finishReason, 'length');
  await small.sequence().eval(new Array(64).fill(5));
});

test('cancel', async () => {
  const stream = model.generate([5, 6], { ignoreEos: true });
  let last;
  for await (const event of stream) {
    if (event.completionTokens === 2) stream.cancel();
    last = event;
  }
  assert.deepEqual([last.kind, last.finishReason], ['end', 'cancelled']);
  assert.ok(last.completionTokens >= 2 && last.completionTokens < 100);
  const unbegun = model.generate([5, 6], { ignoreEos: true });
  unbegun.cancel();
  assert.equal((await unbegun.reply()).finishReason, 'cancelled');
});

test('a conversation computes only what is new', async () => {
  const options = { maxTokens: 6, ...GREEDY };
  const sequence = model.sequence();
  const first = await model.chat(MESSAGES, { sequence, ...options }).reply();
  const again = await model.chat(MESSAGES, { sequence, ...options }).reply();
  assert.deepEqual(again.tokens, first.tokens);
  assert.equal(again.usage.promptTokens, 1);
  const longer = [...MESSAGES, { role: 'assistant', content: 'ok' }, { role: 'user', content: 'And?' }];
  const third = await model.chat(longer, { sequence, ...options }).reply();
  assert.deepEqual(third.tokens, (await model.chat(longer, options).reply()).tokens);
  assert.ok(!sequence.closed);
});

test('reads of a stream that overlap come in order', async () => {
  const stream = model.generate([5, 6, 7], { maxTokens: 6, ...GREEDY });
  const results = await Promise.all(Array.from({ length: 10 }, () => stream.next()));
  const events = results.filter(({ done }) => !done).map(({ value }) => value);
  assert.deepEqual(
    events.map(({ completionTokens }) => completionTokens),
    [0, 1, 2, 3, 4, 5, 6, 6],
  );
  assert.ok(results.at(-1).done);
});

test('refusals', async () => {
  const refused = 'ABY_ERROR_INVALID_ARGUMENT';
  await rejectsWith(() => model.generate([5], { maxToken: 3 }), refused, /maxToken; expected.*maxTokens/);
  await rejectsWith(() => model.generate([5], { maxTokens: 0 }), refused);
  await rejectsWith(() => model.generate([5], { temperature: -1 }), refused);
  await rejectsWith(() => model.generate([5], { topK: 1.5 }).reply(), refused, /topK is 1.5/);
  await rejectsWith(() => model.generate([5], { topK: 2 ** 32 }).reply(), refused);
  await rejectsWith(() => model.generate([5], { seed: -1n }).reply(), refused);
  await rejectsWith(() => model.generate([5], { temperature: NaN }).reply(), refused);
  await rejectsWith(() => model.generate([1e9]).reply(), refused, /1000000000/);
  await rejectsWith(() => model.generate([2 ** 32 + 5]).reply(), refused);
  await rejectsWith(() => model.generate(7), refused);
  await rejectsWith(() => model.generate([]).reply(), 'ABY_ERROR_STATE');
  await rejectsWith(
    () => model.chat([{ role: 'user', content: 'x' }], { chatTemplate: '{{' }).reply(),
    'ABY_ERROR_TEMPLATE',
  );
});
