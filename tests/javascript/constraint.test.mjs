// Replies bound by masks, schemas, expressions and grammars.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { Model } from 'abyssal';
import { rejectsWith, shared } from './support.mjs';

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
  await rejectsWith(create({ regex: 'a\0' }), code, /NUL/);
  await rejectsWith(create({ mask: [] }), code, /mask is empty/);
  await rejectsWith(create({ mask: [true] }), code, /mask has 1 ids; the vocabulary has 1280/);
  await rejectsWith(create({ mask: flags() }), code, /none of the 1280 ids is allowed/);
  await rejectsWith(create({ mask: 'all' }), code, /neither a Uint8Array nor an array/);
});

test('a mask set between events holds for the next one where nothing is written ahead', async () => {
  const options = { maxTokens: 6, temperature: 0, ignoreEos: true, mask: flags(40), writeAhead: false };
  const stream = model.sequence().generate([5, 6], options);
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
});

test('a mask set before the first event, and while a reply is written ahead', async () => {
  const options = { maxTokens: 200, temperature: 0, ignoreEos: true };
  const mask = Array.from({ length: vocabSize }, (_, id) => id === 9);
  const stream = model.generate([5, 6], options);
  await stream.setMask(mask);
  const tokens = [];
  for await (const event of stream) {
    if (event.kind !== 'token') continue;
    tokens.push(event.token);
    if (tokens.length === 3) await stream.setMask(flags(10));
  }
  assert.equal(tokens.length, 200);
  const changed = tokens.indexOf(10);
  assert.ok(changed >= 3 && changed < 199, `at ${changed}`); // behind what was written ahead
  assert.ok(tokens.slice(0, changed).every((token) => token === 9));
  assert.ok(tokens.slice(changed).every((token) => token === 10));
});
