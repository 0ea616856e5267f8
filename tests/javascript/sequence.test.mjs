// Evaluating tokens; errors of opening; weights in memory.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { AbyssalError, Device, Model, backends, evalBatch } from 'abyssal';
import { checkpoint, readSafetensors, rejectsWith, shared } from './support.mjs';

const model = await shared('tiny-v3');

test('eval, fork, truncate', async () => {
  const sequence = model.sequence();
  assert.equal(sequence.length, 0);
  await sequence.eval([5, 6, 7]);
  assert.ok(sequence.logits instanceof Float32Array);
  const fork = sequence.fork();
  await fork.eval(new Uint16Array([8]));
  fork.truncate(2);
  await fork.eval([7]);
  assert.deepEqual(fork.logits, sequence.logits);
  assert.deepEqual(sequence.tokens, Int32Array.of(5, 6, 7));
  fork.close();
  assert.ok(fork.closed && !sequence.closed);
  await rejectsWith(() => fork.length, 'ABY_ERROR_STATE', /closed/);
  await rejectsWith(() => sequence.truncate(4), 'ABY_ERROR_INVALID_ARGUMENT');
  await rejectsWith(() => sequence.output('hidden'), 'ABY_ERROR_STATE');
  await rejectsWith(() => sequence.output('logit'), 'ABY_ERROR_INVALID_ARGUMENT', /expected one of logits/);
  await rejectsWith(() => sequence.eval([]), 'ABY_ERROR_INVALID_ARGUMENT');
  await rejectsWith(() => sequence.eval([1.5]), 'ABY_ERROR_INVALID_ARGUMENT', /tokens\[0\] is 1.5/);
  await rejectsWith(() => sequence.eval(['5']), 'ABY_ERROR_INVALID_ARGUMENT');
});

test('a batch equals its sequences alone', async () => {
  const sequences = [model.sequence(), model.sequence()];
  await evalBatch(sequences, [[5, 6, 7], [9]]);
  const alone = model.sequence();
  await alone.eval([5, 6, 7]);
  assert.deepEqual(sequences[0].logits, alone.logits);
  await rejectsWith(() => evalBatch([sequences[0], sequences[0]], [[1], [2]]), 'ABY_ERROR_INVALID_ARGUMENT');
  await rejectsWith(() => evalBatch(sequences, [[1]]), 'ABY_ERROR_INVALID_ARGUMENT');
  await rejectsWith(() => evalBatch([], []), 'ABY_ERROR_INVALID_ARGUMENT');
  assert.equal(sequences[0].length, 3);
  await sequences[0].eval([1]); // the refused batch holds nothing
});

test('errors of opening name what is wrong', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'abyssal-'));
  fs.cpSync(checkpoint('tiny-kimi-k2'), folder, { recursive: true });
  const weights = path.join(folder, 'model.safetensors');
  fs.chmodSync(weights, 0o644);
  fs.truncateSync(weights, fs.statSync(weights).size - 100);
  await rejectsWith(() => Model.open(folder), 'ABY_ERROR_FORMAT', /model\.safetensors/);
  fs.rmSync(path.join(folder, 'config.json'));
  await rejectsWith(() => Model.plan(folder), 'ABY_ERROR_NOT_FOUND', /config\.json/);
  fs.rmSync(folder, { recursive: true });
  await rejectsWith(() => Model.open('/no/such/model'), 'ABY_ERROR_NOT_FOUND', /no\/such\/model/);
  await rejectsWith(() => Model.open(checkpoint('tiny-v2'), { mtp: true }), 'ABY_ERROR_UNSUPPORTED');
  await rejectsWith(() => Model.open(checkpoint('tiny-v2'), { thread: 1 }), 'ABY_ERROR_INVALID_ARGUMENT', /thread;/);
  await rejectsWith(
    () => Model.open(checkpoint('tiny-v2'), { activations: 'f8' }),
    'ABY_ERROR_INVALID_ARGUMENT',
    /'f8'/,
  );
  await rejectsWith(() => new Device({ backend: 'nothing' }), 'ABY_ERROR_NOT_FOUND', /reference/);
  await rejectsWith(() => new Model(), 'ABY_ERROR_INVALID_ARGUMENT', /Model\.open/);
  const error = await Model.open('/no/such/model').catch((failed) => failed);
  assert.ok(error instanceof AbyssalError && error instanceof Error);
  assert.deepEqual([error.name, error.status], ['AbyssalError', -5]);
  const small = await Model.open(pathToFileURL(checkpoint('tiny-v3')), { cacheTokens: 64 });
  await rejectsWith(() => small.sequence().eval(new Array(65).fill(5)), 'ABY_ERROR_CONTEXT_FULL');
  const held = small.sequence();
  await held.eval([5]);
  await rejectsWith(() => small.sequence().eval([5]), 'ABY_ERROR_CACHE_FULL');
});

test('devices', async () => {
  assert.deepEqual(
    backends()
      .map(({ name }) => name)
      .sort(),
    ['cpu', 'reference'],
  );
  const device = new Device({ backend: 'reference', threads: 1 });
  assert.deepEqual([device.info.backend, device.info.threads], ['reference', 1]);
  const [one, two] = await Promise.all(
    [1, 2].map(() => Model.open(checkpoint('tiny-v2'), { device, cacheTokens: 64 })),
  );
  device.close();
  assert.ok(device.closed);
  await Promise.all([one, two].map((opened) => opened.sequence().eval([5])));
  assert.equal(one.device.info.backend, 'reference');
  await rejectsWith(() => Model.open(checkpoint('tiny-v2'), { device }), 'ABY_ERROR_STATE');
});

test('weights in memory, and their replacement', async () => {
  const folder = checkpoint('tiny-v2-lite');
  const config = JSON.parse(fs.readFileSync(path.join(folder, 'config.json'), 'utf8'));
  const tensors = readSafetensors(path.join(folder, 'model.safetensors'));
  const onDisk = await shared('tiny-v2-lite');
  const inMemory = await Model.fromTensors(config, tensors, { tokenizer: folder, cacheTokens: 512 });
  const logits = async (of) => {
    const sequence = of.sequence();
    await sequence.eval([5, 6, 7]);
    return sequence.logits;
  };
  const before = await logits(onDisk);
  assert.deepEqual(await logits(inMemory), before);
  assert.deepEqual(await inMemory.tokenize('a'), await onDisk.tokenize('a'));
  const old = inMemory.sequence();
  await old.eval([5]);
  const norm = tensors['model.norm.weight'];
  await inMemory.update(
    new Map([['model.norm.weight', { data: new Float32Array(norm.data.length), shape: norm.shape }]]),
  );
  assert.equal(old.length, 0);
  assert.ok((await logits(inMemory)).every((value) => value === 0));
  await inMemory.update({ 'model.norm.weight': norm });
  assert.deepEqual(await logits(inMemory), before);
  await rejectsWith(() => inMemory.update({ nothing: norm }), 'ABY_ERROR_NOT_FOUND', /nothing/);
  const refused = 'ABY_ERROR_INVALID_ARGUMENT';
  await rejectsWith(() => inMemory.update({ x: { data: new Uint16Array(3), shape: [3] } }), refused, /dtype/);
  await rejectsWith(() => inMemory.update({ x: { ...norm, shape: [3] } }), refused, /3/);
  await rejectsWith(() => inMemory.update({ x: { data: new Float64Array(1), shape: [1] } }), refused);
  await rejectsWith(
    () => inMemory.update({ 'model.norm.weight': { data: new Float32Array(3), shape: [3] } }),
    'ABY_ERROR_FORMAT',
    /model.norm.weight/,
  );
});

test('a buffer that is taken away while its tensor is copied', async () => {
  const data = new Float32Array(4 << 20); // several parts
  const copying = Model.fromTensors({}, { first: { data, shape: [data.length] } });
  structuredClone(data.buffer, { transfer: [data.buffer] });
  await rejectsWith(() => copying, 'ABY_ERROR_INVALID_ARGUMENT', /detached/);
});
