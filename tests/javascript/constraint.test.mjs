// Replies bound by masks, schemas, expressions and grammars.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { Constraint, Model } from 'abyssal';
import { checkpoint, rejectsWith, shared } from './support.mjs';

const model = await shared('tiny-v3');
const { vocabSize } = model.info;
const SAMPLED = { maxTokens: 60, temperature: 1, topP: 1, seed: 3 };
const SCHEMA = {
  type: 'object',
  properties: { name: { type: 'string', pattern: '^[a-z]{1,8}$' }, done: { type: 'boolean' } },
  required: ['name', 'done'],
  additionalProperties: false,
  'x-guidance': { whitespace_flexible: false },
};

function flags(...ids) {
  const mask = new Uint8Array(vocabSize);
  for (const id of ids) mask[id] = 1;
  return mask;
}

function isOfSchema(text) {
  try {
    const { name, done } = JSON.parse(text);
    return /^[a-z]{1,8}$/.test(name) && typeof done === 'boolean';
  } catch {
    return false;
  }
}

const BOUND = {
  jsonSchema: [SCHEMA, isOfSchema],
  regex: ['[a-f]{3}-[0-9]{2}', (text) => /^[a-f]{3}-[0-9]{2}$/.test(text)],
  grammar: ['start: item ("," item)?\nitem: /[a-c]{2}/ "=" /[0-9]/\n', (text) => /^[a-c]{2}=\d(,[a-c]{2}=\d)?$/.test(text)],
};

test('content is bound', async () => {
  for (const [name, [constraint, holds]] of Object.entries(BOUND)) {
    const reply = await model.generate([5, 6, 7], { ...SAMPLED, [name]: constraint }).reply();
    assert.ok(holds(reply.content), reply.content);
    assert.equal(reply.finishReason, 'stop');
    assert.ok(!holds((await model.generate([5, 6, 7], SAMPLED).reply()).content));
  }
});

test('a trained model reasons, then answers as the schema says', async () => {
  const trained = await Model.open(path.join(process.env.ABYSSAL_ROOT, 'examples/models/abyssal-tiny-r1'));
  const jsonSchema = {
    type: 'object',
    properties: { answer: { type: 'integer', minimum: 0, maximum: 9999 } },
    required: ['answer'],
    additionalProperties: false,
  };
  const messages = [{ role: 'user', content: 'What is 47 * 6 + 12?' }];
  const reply = await trained.chat(messages, { temperature: 0, maxTokens: 200, jsonSchema }).reply();
  assert.ok(reply.reasoning.length > 0);
  assert.ok(Number.isInteger(JSON.parse(reply.content).answer), reply.content);
  trained.close();
});

test('what cannot be is refused', async () => {
  const create = (options) => async () => model.generate([5], { maxTokens: 4, ...options }).reply();
  const code = 'ABY_ERROR_INVALID_ARGUMENT';
  await rejectsWith(create({ regex: 'a(' }), code, /regular expression: /);
  await rejectsWith(create({ jsonSchema: { type: 'integr' } }), code, /integr/);
  await rejectsWith(create({ grammar: 'start: missing' }), code, /missing/);
  await rejectsWith(create({ regex: 'a', grammar: 'b' }), code, /regex and grammar are given/);
  await rejectsWith(create({ regex: 'a', constraint: await model.constraint({ regex: 'b' }) }), code, /constraint and regex/);
  await rejectsWith(create({ constraint: 'a' }), code, /constraint is not a Constraint/);
  await rejectsWith(() => model.constraint({ regex: 'a(' }), code, /regular expression: /);
  await rejectsWith(() => model.constraint({}), code, /expected one of jsonSchema, regex, grammar/);
  await rejectsWith(() => model.constraint({ regex: 'a', grammar: 'b' }), code, /regex and grammar are given/);
  await rejectsWith(() => model.constraint({ regexp: 'a' }), code, /unknown option regexp/);
  await rejectsWith(() => new Constraint(), code, /model\.constraint/);
  await rejectsWith(create({ mask: [] }), code, /mask is empty/);
  await rejectsWith(create({ mask: [true] }), code, /mask has 1 ids; the vocabulary has 1280/);
  await rejectsWith(create({ mask: flags() }), code, /none of the 1280 ids is allowed/);
  await rejectsWith(create({ mask: 'all' }), code, /neither a Uint8Array nor an array/);
});

test('a compiled constraint binds any number of replies', async () => {
  for (const [name, [source, holds]] of Object.entries(BOUND)) {
    const constraint = await model.constraint({ [name]: source });
    assert.ok(constraint instanceof Constraint);
    const seeds = Array.from({ length: 8 }, (_, i) => i);
    const draw = (seed) => model.generate([5, 6, 7], { ...SAMPLED, seed, constraint }).reply();
    const replies = await Promise.all(seeds.map(draw));
    for (const { content } of replies) assert.ok(holds(content), content);
    const own = await model.generate([5, 6, 7], { ...SAMPLED, [name]: source }).reply();
    assert.deepEqual(own.tokens, replies[3].tokens);
    const sequence = model.sequence();
    assert.ok(holds((await sequence.generate([5, 6, 7], { ...SAMPLED, constraint }).reply()).content));
    const begun = model.generate([5, 6, 7], { ...SAMPLED, constraint });
    await begun.next();
    constraint.close();
    assert.ok(constraint.closed);
    assert.ok(holds((await begun.reply()).content)); // which keeps it
    await rejectsWith(() => draw(1), 'ABY_ERROR_STATE', /constraint is closed/);
  }
});

test('a constraint is of one model', async () => {
  const other = await shared('tiny-v2-lite');
  const constraint = await other.constraint({ regex: 'a' });
  await rejectsWith(() => model.generate([5], { constraint }).reply(), 'ABY_ERROR_INVALID_ARGUMENT', /another model/);
  const sequence = model.sequence();
  await rejectsWith(() => sequence.generate([5], { regex: 'a(' }).reply(), 'ABY_ERROR_INVALID_ARGUMENT', /expression/);
  await sequence.eval([5]); // is free
});

test('the text of a constraint may hold a NUL character', async () => {
  const reply = await model.generate([5, 6, 7], { ...SAMPLED, regex: 'a\0?b' }).reply();
  assert.match(reply.content, /^a\0?b$/);
  await rejectsWith(() => model.constraint({ regex: 'a\0(' }), 'ABY_ERROR_INVALID_ARGUMENT', /regular expression: /);
  await rejectsWith(() => model.constraint({ regex: 'a\ud800' }), 'ABY_ERROR_ENCODING');
});

test('compiling does not hold the event loop up', async () => {
  const fresh = await Model.open(checkpoint('tiny-v3'), { cacheTokens: 64 });
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 1);
  const property = (_, i) => [`p${i}`, { type: 'string', pattern: `^a{${1 + (i % 9)}}[b-d]*$` }];
  const properties = Object.fromEntries(Array.from({ length: 1000 }, property));
  await fresh.constraint({ jsonSchema: { type: 'object', properties } });
  clearInterval(timer);
  assert.ok(turns >= 5, `${turns} turns`);
});

test('a mask set between events holds for the very next one', async () => {
  const options = { maxTokens: 6, temperature: 0, ignoreEos: true, mask: flags(40) };
  const streams = [model.sequence().generate([5, 6], options), model.generate([5, 6], { ...options, writeAhead: false })];
  for (const stream of streams) await setsMasks(stream);
});

async function setsMasks(stream) {
  const tokens = [];
  for await (const event of stream) {
    if (event.kind !== 'token') continue;
    tokens.push(event.token);
    if (tokens.length === 2) await stream.setMask(flags(77));
    if (tokens.length === 4) {
      await rejectsWith(() => stream.setMask(flags()), 'ABY_ERROR_INVALID_ARGUMENT', /none of/);
      await stream.setMask(null);
    }
  }
  assert.deepEqual(tokens.slice(0, 4), [40, 40, 77, 77]);
  assert.equal(tokens.length, 6);
  assert.notDeepEqual(tokens.slice(4), [77, 77]);
  await rejectsWith(() => stream.setMask(null), 'ABY_ERROR_STATE', /closed/);
}

test('a reply that is written ahead takes a mask before its first event, and then none', async () => {
  const options = { maxTokens: 200, temperature: 0, ignoreEos: true };
  const mask = Array.from({ length: vocabSize }, (_, id) => id === 9);
  const stream = model.generate([5, 6], options);
  await stream.setMask(mask);
  const tokens = [];
  for await (const event of stream) {
    if (event.kind !== 'token') continue;
    tokens.push(event.token);
    if (tokens.length === 3) await rejectsWith(() => stream.setMask(flags(10)), 'ABY_ERROR_STATE', /writeAhead: false/);
  }
  assert.equal(tokens.length, 200);
  assert.ok(tokens.every((token) => token === 9));
});
