// Each checkpoint against its reference values.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { Model } from 'abyssal';
import { CONFORMANCE, checkpoint, readSafetensors, relativeError, shared } from './support.mjs';

const NAMES = fs.readdirSync(CONFORMANCE).sort();
const EXACT = { activations: 'f32' };
const RESOLVED_GAP = 1e-3; // between the two best logits, that float32 arithmetic resolves

test('all seven checkpoints are there', () => assert.equal(NAMES.length, 7));

for (const name of NAMES) {
  const expected = readSafetensors(`${checkpoint(name)}/expected.safetensors`);
  const data = (key) => expected[key].data;

  test(`${name}: logits`, async () => {
    const model = await shared(name, EXACT);
    for (const which of ['p0', 'p1', 'p2', 'p3']) {
      const wanted = expected[`${which}.logits_last`];
      const sequence = model.sequence();
      await sequence.eval(data(`${which}.input_ids`), { logits: wanted.shape[0] });
      assert.deepEqual(sequence.output('logits').shape, wanted.shape);
      assert.ok(relativeError(sequence.logits, wanted.data) < 1e-4, which);
      sequence.close();
    }
  });

  test(`${name}: hidden states by default`, async () => {
    const model = await shared(name);
    assert.equal(model.info.activations, name === 'tiny-v2-lite' ? 'f32' : 'bf16'); // as its weights
    const sequence = model.sequence();
    await sequence.eval(data('p2.input_ids'), { hiddenLayers: true });
    // Before a route that bf16 cannot resolve can send a token to another expert.
    for (const layer of [0, 1])
      assert.ok(relativeError(sequence.output('hidden', layer).data, data(`p2.hidden.${layer}`)) < 1e-2);
  });

  test(`${name}: hidden states, cache rows and routes`, async () => {
    const model = await shared(name, EXACT);
    const sequence = model.sequence();
    await sequence.eval(data('p2.input_ids'), { hiddenLayers: true, routes: true });
    const kinds = { hidden: 'hidden', c_kv: 'cache_c_kv', k_rope: 'cache_k_rope', route_weight: 'route_weight' };
    for (const [what, kind] of Object.entries(kinds)) {
      for (let layer = 0; `p2.${what}.${layer}` in expected; layer += 1) {
        const wanted = expected[`p2.${what}.${layer}`];
        const got = sequence.output(kind, layer);
        assert.deepEqual(got.shape, wanted.shape);
        assert.ok(relativeError(got.data, wanted.data) < 2e-5, `${what} ${layer}`);
      }
    }
    for (let layer = 1; `p2.route_index.${layer}` in expected; layer += 1)
      assert.deepEqual(sequence.output('route_index', layer).data, data(`p2.route_index.${layer}`));
    assert.deepEqual(sequence.hidden, sequence.output('hidden', model.info.layers).data);
  });

  test(`${name}: greedy replies`, async () => {
    const model = await shared(name, EXACT);
    for (const which of ['p0', 'p1', 'p2', 'p3']) {
      const wanted = data(`${which}.greedy_ids`);
      const options = { maxTokens: wanted.length, temperature: 0, ignoreEos: true };
      const reply = await model.generate(data(`${which}.input_ids`), options).reply();
      assert.equal(reply.finishReason, 'length');
      assert.equal(reply.usage.completionTokens, wanted.length);
      const unclear = data(`${which}.greedy_gap`).findIndex((gap) => gap < RESOLVED_GAP);
      const clear = unclear < 0 ? wanted.length : unclear;
      assert.deepEqual(reply.tokens.slice(0, clear), [...wanted.slice(0, clear)], which);
    }
  });
}

test('plan and info agree', async () => {
  const plan = await Model.plan(checkpoint('tiny-v3'), { cacheTokens: 4096 });
  const { info } = await shared('tiny-v3');
  for (const key of ['layers', 'parameters', 'activeParameters', 'fileBytes', 'weightBytes', 'cacheTokens'])
    assert.equal(plan[key], info[key], key);
  assert.equal(plan.totalBytes, plan.weightBytes + plan.cacheBytes + plan.scratchBytes);
  assert.equal(info.architecture, 'deepseek_v3');
  assert.equal(info.activations, 'bf16');
  assert.equal(info.hasTokenizer, true);
  assert.equal((await shared('tiny-v3')).device.info.backend, 'cpu');
});
