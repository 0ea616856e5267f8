// Tokens, text and chat templates.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { MESSAGES, ROOT, rejectsWith, shared } from './support.mjs';

const read = (name) => JSON.parse(fs.readFileSync(`${ROOT}/tests/data/text/${name}`, 'utf8'));

test("ids equal those of Hugging Face's tokenizers, and decode to the same text", async () => {
  const model = await shared('tiny-v3');
  const reference = read('tokenize.json');
  const [, expected] = Object.entries(reference.tokenizers).find(([name]) => name.includes('conformance/tiny-v3/'));
  for (const [i, text] of reference.texts.entries()) {
    const ids = await model.tokenize(text);
    assert.deepEqual([...ids], expected.ids[i], text);
    assert.equal(await model.decode(ids), text);
    assert.deepEqual([...(await model.tokenize(text, { plain: true }))], expected.plain_ids[i], text);
  }
});

test('bytes, parts of characters, special tokens', async () => {
  const model = await shared('tiny-v3');
  assert.deepEqual(await model.tokenize(new TextEncoder().encode('Hello 你好')), await model.tokenize('Hello 你好'));
  const ids = await model.tokenize('你好 👋🏽');
  const parts = await Promise.all([...ids].map((id) => model.detokenize([id])));
  assert.equal(Buffer.concat(parts).toString(), '你好 👋🏽');
  assert.equal(await model.decode([model.info.bosToken]), '<｜begin▁of▁sentence｜>');
  assert.equal(await model.decode([model.info.bosToken], { skipSpecial: true }), '');
  const withBos = await model.tokenize('x', { addBos: true });
  assert.deepEqual([...withBos], [model.info.bosToken, ...(await model.tokenize('x'))]);
  assert.equal(await model.decode(await model.tokenize('\ufeffa\0b')), '\ufeffa\0b');
  await rejectsWith(() => model.tokenize(new Uint8Array([0x41, 0xff])), 'ABY_ERROR_ENCODING');
  await rejectsWith(() => model.detokenize([-1]), 'ABY_ERROR_INVALID_ARGUMENT');
  await rejectsWith(() => model.tokenize(5), 'ABY_ERROR_INVALID_ARGUMENT', /text is 5/);
  await rejectsWith(() => model.tokenize('x', { addBOS: true }), 'ABY_ERROR_INVALID_ARGUMENT', /addBOS.*addBos/);
});

test('templates, with tools and variables', async () => {
  const model = await shared('tiny-v3');
  assert.equal(
    await model.renderChat([{ role: 'user', content: 'Hi' }]),
    '<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜><think>\n',
  );
  assert.equal(await model.renderChat(JSON.stringify(MESSAGES)), await model.renderChat(MESSAGES));
  const template = '{{ tools[0].name }} {{ who }} {{ messages | length }} {{ add_generation_prompt }}';
  const options = {
    chatTemplate: template,
    tools: [{ name: 'f' }],
    variables: { who: 'Ünï' },
    addGenerationPrompt: false,
  };
  assert.equal(await model.renderChat(MESSAGES, options), 'f Ünï 1 False');
  await rejectsWith(
    () => model.renderChat(MESSAGES, { chatTemplate: "{{ raise_exception('mine') }}" }),
    'ABY_ERROR_TEMPLATE',
    /mine/,
  );
  await rejectsWith(() => model.renderChat([{ role: 1n }]), 'ABY_ERROR_INVALID_ARGUMENT', /JSON/);
});

test('content may be null', async () => {
  const model = await shared('tiny-v3');
  const messages = (content) => [...MESSAGES, { role: 'assistant', content }, ...MESSAGES];
  assert.equal(await model.renderChat(messages(null)), await model.renderChat(messages('')));
});

test('tools that the template has no place for are refused, unless they may be dropped', async () => {
  const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }];
  const without = await shared('tiny-r1-distill-qwen');
  assert.equal(without.info.tools, false);
  const chatTemplate = '{{ messages[0].content }}';
  for (const call of [
    () => without.renderChat(MESSAGES, { tools, chatTemplate }),
    () => without.chat(MESSAGES, { tools, chatTemplate, maxTokens: 1 }).reply(),
  ])
    await rejectsWith(call, 'ABY_ERROR_UNSUPPORTED', /tools/);
  const dropped = { tools, chatTemplate, allowDroppedTools: true };
  assert.equal(await without.renderChat(MESSAGES, dropped), MESSAGES[0].content);
  assert.equal((await without.chat(MESSAGES, { ...dropped, maxTokens: 1 }).reply()).usage.completionTokens, 1);
  assert.equal(await without.renderChat(MESSAGES, { tools: [], chatTemplate }), MESSAGES[0].content);
});
