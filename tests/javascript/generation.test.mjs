// Replies: whole, as streams, with sampling and limits.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Event, Model, evalBatch } from 'abyssal';
import { MESSAGES, ROOT, checkpoint, eventsOf, rejectsWith, shared, sleep } from './support.mjs';

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
  assert.notDeepEqual(await draw({ temperature: 5, seed: 1 }), await draw({ temperature: 5, seed: 2n ** 64n - 2n }));
  for (const options of [{ topK: 1 }, { topP: 1e-6 }, { minP: 1 }])
    assert.deepEqual(await draw({ temperature: 5, ...options }), greedy);
});

test('the seed is told, and gives the reply again', async () => {
  const options = { maxTokens: 12, temperature: 5, topP: 1, ignoreEos: true };
  const stream = model.generate([5, 6, 7], options);
  assert.equal(stream.seed, null);
  await stream.next();
  const { seed } = stream;
  assert.ok(Number.isSafeInteger(seed) && seed >= 0);
  const reply = await stream.reply();
  assert.equal(reply.seed, seed);
  assert.deepEqual((await model.generate([5, 6, 7], { ...options, seed }).reply()).tokens, reply.tokens);
  const other = await model.generate([5, 6, 7], options).reply();
  assert.notEqual(other.seed, seed);
  assert.notDeepEqual(other.tokens, reply.tokens);
  for (const given of [0, 2 ** 53 - 1, 2n ** 53n, 2n ** 64n - 2n])
    assert.equal((await model.generate([5], { maxTokens: 1, seed: given }).reply()).seed, given);
  assert.equal((await model.generate([5], { maxTokens: 1, seed: 7n }).reply()).seed, 7);
});

test('what is off, and what is not given', async () => {
  const draw = async (options) => (await model.generate([5, 6, 7], { maxTokens: 12, ignoreEos: true, seed: 3, ...options }).reply()).tokens;
  const off = { topP: 1, topK: 0, minP: 0 };
  assert.notDeepEqual(await draw({ temperature: 5, ...off }), await draw({ temperature: 0 }));
  // The checkpoint's own, of which undefined and null are the names.
  assert.deepEqual(await draw({ temperature: undefined, topP: null, topK: undefined, minP: null }), await draw({}));
  // A topP of 0 keeps the likeliest token alone; it does not stand for the checkpoint's own.
  assert.deepEqual(await draw({ temperature: 5, ...off, topP: 0 }), await draw({ temperature: 0 }));
});

test('no tokens at all', async () => {
  const sequence = model.sequence();
  const events = await eventsOf(sequence.generate([5, 6, 7], { maxTokens: 0 }));
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['prompt', 'end'],
  );
  assert.deepEqual([events[1].finishReason, events[1].completionTokens], ['length', 0]);
  assert.deepEqual([...sequence.tokens], [5, 6, 7]);
  assert.ok(sequence.logits.length > 0);
});

test('log-probabilities', async () => {
  const options = { maxTokens: 6, ...GREEDY };
  const sequence = model.sequence();
  const reply = await model.generate([5, 6, 7], { ...options, logprobs: true }).reply();
  assert.equal(reply.logprobs.length, 6);
  for (const [i, logprob] of reply.logprobs.entries()) {
    await sequence.eval(i === 0 ? [5, 6, 7] : [reply.tokens[i - 1]]);
    const { logits } = sequence;
    const largest = Math.max(...logits);
    const sum = logits.reduce((all, logit) => all + Math.exp(logit - largest), 0);
    const wanted = logits[reply.tokens[i]] - largest - Math.log(sum);
    assert.ok(Math.abs(logprob - wanted) < 1e-3, `${logprob} is not ${wanted}`);
  }
  const events = await eventsOf(model.generate([5, 6, 7], { ...options, logprobs: true }));
  assert.deepEqual(
    events.map(({ logprob }) => logprob),
    [null, ...reply.logprobs, null],
  );
  const unasked = await eventsOf(model.generate([5, 6, 7], options));
  assert.ok(unasked.every(({ logprob }) => logprob === null));
  assert.deepEqual((await model.generate([5, 6, 7], options).reply()).logprobs, []);
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
  assert.deepEqual([...sequence.tokens], [9, 8, 5, 6, 7, ...read]);
  const rest = await sequence.generate([], { maxTokens: 3, ...GREEDY }).reply();
  const whole = await model.generate([9, 8, 5, 6, 7], { maxTokens: 6, ...GREEDY }).reply();
  assert.deepEqual([...read, ...rest.tokens], whole.tokens);
  assert.deepEqual([...sequence.tokens], [9, 8, 5, 6, 7, ...whole.tokens]);
});

test('a reply onto a sequence is never ahead of its reader, which may read the sequence', async () => {
  const sequence = model.sequence();
  const read = [];
  for await (const event of sequence.generate([5, 6, 7], { maxTokens: 8, writeAhead: true, ...GREEDY })) {
    if (event.kind === 'token') read.push(event.token);
    await sleep(2);
    // The last token is evaluated when the next one is wanted, or what comes after the reply.
    if (event.kind === 'end') assert.deepEqual([...sequence.tokens], [5, 6, 7, ...read]);
    else assert.deepEqual([...sequence.tokens], [5, 6, 7, ...read.slice(0, -1)]);
    assert.equal(sequence.length, sequence.tokens.length);
  }
});

test('while a reply is written nothing else changes its sequence, until its end or close', async () => {
  const sequence = model.sequence();
  const changes = [
    () => sequence.eval([9]),
    () => evalBatch([sequence], [[9]]),
    () => sequence.truncate(0),
    () => sequence.generate([9]).reply(),
    () => model.chat(MESSAGES, { sequence }).reply(),
  ];
  const refused = async () => {
    for (const change of changes) await rejectsWith(change, 'ABY_ERROR_BUSY', /a reply is being written/);
  };
  const stream = sequence.generate([5, 6, 7], { maxTokens: 2, ...GREEDY });
  await sequence.eval([8]); // it has not begun
  for await (const event of stream) {
    if (event.kind !== 'end') await refused();
    else await sequence.eval([9]);
  }
  assert.equal(sequence.length, 7);
  const left = sequence.generate([5], GREEDY);
  await left.next();
  await refused();
  await left.close();
  sequence.truncate(1);
  const begun = sequence.generate(new Array(900).fill(5), { chunk: 300, ...GREEDY });
  await begun.next();
  const reading = begun.next(); // takes some milliseconds
  await Promise.resolve(); // until its step has begun
  await Promise.resolve();
  await rejectsWith(() => sequence.length, 'ABY_ERROR_BUSY', /in use by a call/);
  await reading;
  sequence.close(); // cancels the reply
  assert.equal((await begun.reply()).finishReason, 'cancelled');
});

test('after its end a sequence holds the prompt and all tokens', async () => {
  const whole = (await model.generate([5, 6, 7], { maxTokens: 9, ...GREEDY }).reply()).tokens;
  const stop = whole[4];
  const endings = {
    length: { maxTokens: 3 },
    stop: { stopTokens: [stop] },
    cancelled: {},
  };
  for (const [reason, options] of Object.entries(endings)) {
    const sequence = model.sequence();
    const stream = sequence.generate([5, 6, 7], { ...GREEDY, ...options });
    const read = [];
    let last;
    for await (const event of stream) {
      if (event.kind === 'token') read.push(event.token);
      if (reason === 'cancelled' && read.length === 2) stream.cancel();
      last = event;
    }
    assert.equal(last.finishReason, reason);
    assert.ok(read.length >= 2);
    assert.deepEqual([...sequence.tokens], [5, 6, 7, ...read], reason);
    const rest = await sequence.generate([], { maxTokens: 2, ...GREEDY }).reply();
    assert.deepEqual([...read, ...rest.tokens], whole.slice(0, read.length + 2), reason);
  }
});

test('a full context ends a reply, and refuses a prompt', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'abyssal-'));
  fs.cpSync(checkpoint('tiny-v3'), folder, { recursive: true });
  const file = path.join(folder, 'config.json');
  const config = JSON.parse(fs.readFileSync(file, 'utf8'));
  fs.chmodSync(file, 0o644);
  fs.writeFileSync(file, JSON.stringify({ ...config, max_position_embeddings: 16 }));
  const small = await Model.open(folder);
  fs.rmSync(folder, { recursive: true });
  const reply = await small.generate(new Array(10).fill(5), GREEDY).reply();
  assert.deepEqual([reply.finishReason, reply.tokens.length], ['context', 7]);
  const long = small.generate(new Array(17).fill(5), GREEDY);
  await rejectsWith(() => long.next(), 'ABY_ERROR_CONTEXT_FULL', /context/);
});

test('a full cache is an error of the step, which may be tried again', async () => {
  const small = await Model.open(checkpoint('tiny-v3'), { cacheTokens: 128 });
  const held = small.sequence();
  await held.eval(new Array(64).fill(5));
  const stream = small.generate(new Array(60).fill(5), { maxTokens: 10, ...GREEDY });
  const tokens = [];
  let failures = 0;
  for (;;) {
    const result = await stream.next().catch((error) => {
      assert.deepEqual([error.code, error.status], ['ABY_ERROR_CACHE_FULL', -17]);
      return null;
    });
    if (result === null) {
      failures += 1;
      if (failures === 2) held.close();
      continue;
    }
    if (result.done) break;
    if (result.value.kind === 'token') tokens.push(result.value.token);
    if (result.value.kind === 'end') assert.equal(result.value.finishReason, 'length');
  }
  assert.equal(failures, 2);
  assert.deepEqual(tokens, (await model.generate(new Array(60).fill(5), { maxTokens: 10, ...GREEDY }).reply()).tokens);
});

test('a reply that finds the cache full is closed, and holds none of it', async () => {
  const small = await Model.open(checkpoint('tiny-v3'), { cacheTokens: 128 });
  const held = small.sequence();
  await held.eval(new Array(64).fill(5));
  await rejectsWith(() => small.generate(new Array(60).fill(5), GREEDY).reply(), 'ABY_ERROR_CACHE_FULL');
  await held.eval([5]); // of the other block
  await rejectsWith(() => small.sequence().eval([5]), 'ABY_ERROR_CACHE_FULL');
});

test('sixteen chats at once with all defaults are complete', async () => {
  const trained = await Model.open(path.join(ROOT, 'examples/models/abyssal-tiny-r1'));
  const ask = (i) => trained.chat([{ role: 'user', content: `What is ${i} * 6 + 12?` }]).reply();
  const replies = await Promise.all(Array.from({ length: 16 }, (_, i) => ask(i)));
  for (const { text, finishReason } of replies) {
    assert.ok(['stop', 'length'].includes(finishReason), finishReason);
    assert.ok(text.length > 0);
  }
  assert.equal(new Set(replies.map(({ seed }) => seed)).size, 16);
  trained.close();
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
  assert.equal(full.finishReason, 'context');
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
  await rejectsWith(() => model.generate([5], { maxTokens: -1 }).reply(), refused);
  for (const name of ['temperature', 'topP', 'minP', 'topK'])
    await rejectsWith(() => model.generate([5], { [name]: -1 }), refused, new RegExp(`${name} is -1`));
  await rejectsWith(() => model.generate([5], { topP: 1.5 }).reply(), refused, /top_p is 1.5/);
  await rejectsWith(() => model.generate([5], { seed: 2n ** 64n - 1n }), refused, /seed is 18446744073709551615/);
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
