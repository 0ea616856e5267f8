// Weights rounded while they are loaded, packed caches, checkpoints written with rounded weights, and profiles.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { AbyssalError, Model } from 'abyssal';
import { ROOT, checkpoint, readSafetensors, rejectsWith, relativeError } from './support.mjs';

const TOKENS = Array.from({ length: 40 }, (_, i) => (i * 13 + 3) % 1200);
const OPTIONS = { backend: 'cpu', threads: 1, cacheTokens: 512 };

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'abyssal-'));
after(() => fs.rmSync(folder, { recursive: true }));

async function logits(model) {
  const sequence = (await model).sequence();
  await sequence.eval(TOKENS);
  return sequence.logits;
}
const open = (name, options) => Model.open(checkpoint(name), { ...OPTIONS, ...options });

test('rounded weights are near the stored ones', async () => {
  const expected = readSafetensors(path.join(checkpoint('tiny-v3'), 'expected.safetensors'));
  const cases = { int8: [2e-2, 'i16', 'as q8 ('], int4: [1.5e-1, 'i8', 'as q4 ('] };
  for (const [weights, [limit, arithmetic, layout]] of Object.entries(cases)) {
    const model = await open('tiny-v3', { weights });
    const sequence = model.sequence();
    await sequence.eval(expected['p2.input_ids'].data, { hiddenLayers: true });
    const off = relativeError(sequence.output('hidden', 1).data, expected['p2.hidden.1'].data);
    assert.ok(off > 1e-3 && off < limit, `${weights}: ${off}`);
    assert.deepEqual([model.info.arithmetic, model.info.packedCache], [arithmetic, false]);
    assert.ok(model.info.weightLayouts.includes(layout), model.info.weightLayouts);
    const plan = await Model.plan(checkpoint('tiny-v3'), { ...OPTIONS, weights });
    assert.equal(plan.weightBytes, model.info.weightBytes);
  }
  await rejectsWith(() => open('tiny-v3', { weights: 'int3' }), 'ABY_ERROR_INVALID_ARGUMENT', /stored, int8, int4/);
});

test('forms of attention, and rounded cache rows', async () => {
  const [absorbed, expanded] = [
    await logits(open('tiny-v3', { attention: 'absorbed' })),
    await logits(open('tiny-v3', { attention: 'expanded' })),
  ];
  assert.deepEqual(absorbed, await logits(open('tiny-v3', { absorbBelow: 2 ** 32 - 1 })));
  assert.deepEqual(expanded, await logits(open('tiny-v3', { absorbBelow: 1 })));
  assert.notDeepEqual(absorbed, expanded);
  await rejectsWith(() => open('tiny-v3', { attention: 'absorbed', absorbBelow: 5 }), 'ABY_ERROR_INVALID_ARGUMENT');
  const { info } = await open('tiny-v3', { cacheDtype: 'i8' });
  const wide = await Model.plan(checkpoint('tiny-v3'), { ...OPTIONS, cacheDtype: 'bf16' });
  assert.equal(info.cacheDtype, 'i8');
  assert.ok(info.cacheBytesPerToken < wide.cacheBytesPerToken);
});

test('a packed cache, and the warnings about it', async () => {
  const kept = path.join(folder, 'kept');
  fs.mkdirSync(kept);
  const heard = [];
  const options = { weights: 'int8', packedCache: kept, onWarning: (text) => heard.push(text) };
  const first = await open('tiny-v2', options);
  const want = await logits(first);
  assert.equal(first.info.packedCache, false);
  const second = await open('tiny-v2', { ...options, packedCache: pathToFileURL(kept), packedCacheCheck: true });
  assert.equal(second.info.packedCache, true);
  assert.deepEqual(await logits(second), want);
  assert.deepEqual(heard, []);

  const damage = () => fs.writeFileSync(path.join(kept, fs.readdirSync(kept)[0]), 'nothing');
  damage();
  assert.deepEqual(await logits(open('tiny-v2', options)), want);
  assert.equal(heard.length, 1);
  assert.match(heard[0], /packed cache/);
  damage();
  const onWarning = () => {
    throw new RangeError('of the callback');
  };
  await assert.rejects(open('tiny-v2', { ...options, onWarning }), /of the callback/);
  await rejectsWith(() => open('tiny-v2', { ...options, onWarning: 3 }), 'ABY_ERROR_INVALID_ARGUMENT', /onWarning/);

  damage();
  const emitted = new Promise((resolve) => process.once('warning', resolve));
  await open('tiny-v2', { ...options, onWarning: undefined });
  const { name, message } = await emitted;
  assert.equal(name, 'AbyssalWarning');
  assert.match(message, /packed cache/);
});

test('a checkpoint is written with rounded weights', async () => {
  const out = path.join(folder, 'größer', 'kleiner');
  const seen = [];
  const onProgress = (...call) => seen.push(call);
  const options = { weights: 'int4', threads: 1, onProgress };
  assert.equal(await Model.quantize(checkpoint('tiny-v2'), pathToFileURL(out), options), undefined);
  assert.ok(seen.length > 0);
  assert.ok(seen.every(([stage, done, total]) => ['read', 'weights'].includes(stage) && done >= 0 && done <= total));
  const written = await Model.open(out, { ...OPTIONS, weights: 'int4' });
  assert.deepEqual(await logits(written), await logits(open('tiny-v2', { weights: 'int4' })));
  assert.match(written.info.weightTypes, /q4_0/);
  assert.ok(written.info.hasTokenizer);
  await rejectsWith(() => Model.quantize(checkpoint('tiny-v2'), out), 'ABY_ERROR_INVALID_ARGUMENT', /config\.json/);

  const whole = path.join(folder, 'int8');
  await Model.quantize(checkpoint('tiny-r1-distill-qwen'), whole); // rounds to int8
  assert.match((await Model.open(whole, OPTIONS)).info.weightTypes, /q8_0/);
});

test('what cannot be written', async () => {
  const gguf = path.join(ROOT, 'tests', 'data', 'conformance-gguf', 'tiny-qwen2-Q4_K_M.gguf');
  const model = checkpoint('tiny-v2');
  const out = path.join(folder, 'never');
  await rejectsWith(() => Model.quantize(gguf, out), 'ABY_ERROR_UNSUPPORTED', /GGUF/);
  await rejectsWith(() => Model.quantize('/no/such/model', out), 'ABY_ERROR_NOT_FOUND');
  await rejectsWith(() => Model.quantize(model, out, { weights: 'stored' }), 'ABY_ERROR_INVALID_ARGUMENT');
  await rejectsWith(() => Model.quantize(model, out, null), 'ABY_ERROR_INVALID_ARGUMENT', /not an object/);
  await rejectsWith(() => Model.quantize(model, 5), 'ABY_ERROR_INVALID_ARGUMENT', /path/);
  assert.ok(!fs.existsSync(out));
});

test('writing a checkpoint is aborted', async () => {
  const model = checkpoint('tiny-v3');
  const out = path.join(folder, 'aborted');
  const controller = new AbortController();
  const running = Model.quantize(model, out, { threads: 1, signal: controller.signal });
  controller.abort('mine'); // the call has returned long before its work is done
  await assert.rejects(running, (error) => {
    assert.ok(error instanceof AbyssalError);
    assert.deepEqual([error.name, error.code, error.cause], ['AbortError', 'ABY_ERROR_CANCELLED', 'mine']);
    return true;
  });
  await rejectsWith(() => Model.quantize(model, out, { signal: AbortSignal.abort() }), 'ABY_ERROR_CANCELLED');
  const onProgress = () => {
    throw new RangeError('of the callback');
  };
  assert.ok(!fs.existsSync(path.join(out, 'config.json')));
  assert.ok(!fs.existsSync(path.join(out, 'model.safetensors')));
  await assert.rejects(Model.quantize(model, path.join(folder, 'thrown'), { onProgress }), /of the callback/);
});

test('a profile names every part and changes nothing', async () => {
  for (const backend of ['cpu', 'reference']) {
    const model = await open('tiny-v3', { backend });
    const [plain, measured] = [model.sequence(), model.sequence()];
    const tokens = TOKENS.slice(0, 12);
    await plain.eval(tokens);
    assert.ok(model.profileParts.every(({ calls }) => calls === 0));
    // Not awaited: calls take effect in their order.
    const begin = performance.now();
    await Promise.all([model.profile(), measured.eval(tokens), model.profile(false)]);
    const wall = (performance.now() - begin) / 1e3;
    assert.deepEqual(measured.logits, plain.logits);

    const all = model.profileParts;
    const parts = Object.fromEntries(all.map(({ name, ...rest }) => [name, rest]));
    assert.deepEqual(
      Object.keys(parts).sort(),
      ['attention', 'attention projections', 'embedding', 'experts', 'head', 'mlp', 'norms', 'router', 'sampling'],
    );
    assert.equal(parts.experts.calls, 3); // 12 tokens, 5 experts each, three matrices of 48 x 128
    assert.equal(parts.experts.flops, 2 * 12 * 3 * 5 * 3 * 48 * 128);
    assert.ok(parts.experts.bytes > 0);
    assert.deepEqual([parts.router.calls, parts.sampling.calls, parts.norms.flops], [6, 0, 0]);
    const seconds = all.reduce((sum, part) => sum + part.seconds, 0);
    assert.ok(seconds > 0 && seconds <= wall, `${seconds} of ${wall}`);

    await plain.eval(tokens);
    assert.deepEqual(model.profileParts, all); // stopped
    await model.profile(true);
    assert.ok(model.profileParts.every(({ calls }) => calls === 0)); // begun anew
    await rejectsWith(() => model.profile('no'), 'ABY_ERROR_INVALID_ARGUMENT', /true or false/);
    model.close();
    await rejectsWith(() => model.profile(), 'ABY_ERROR_STATE');
    await rejectsWith(() => model.profileParts, 'ABY_ERROR_STATE');
  }
});
