// What the tests of the Node.js package share: the conformance checkpoints and their expected values.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Model } from 'abyssal';

export const ROOT = process.env.ABYSSAL_ROOT;
export const CONFORMANCE = path.join(ROOT, 'tests', 'data', 'conformance');
export const MESSAGES = [{ role: 'user', content: 'Hello' }];
// A prompt that the reference backend takes long over, a token at a time.
export const LONG = Array.from({ length: 2500 }, (_, i) => 5 + (i % 1000));

export const checkpoint = (name) => path.join(CONFORMANCE, name);

const opened = new Map();

// A model that the tests of a file share: they must not change it.
export function shared(name, options = {}) {
  const key = JSON.stringify([name, options]);
  if (!opened.has(key)) opened.set(key, Model.open(checkpoint(name), { cacheTokens: 4096, ...options }));
  return opened.get(key);
}

export const slow = () => shared('tiny-v3', { backend: 'reference', cacheTokens: 6016 });

const READERS = {
  F32: (bytes) => new Float32Array(bytes),
  BF16: (bytes) => new Uint16Array(bytes),
  F16: (bytes) => new Uint16Array(bytes),
  F8_E4M3: (bytes) => new Uint8Array(bytes),
  I32: (bytes) => new Int32Array(bytes),
  I64: (bytes) => new BigInt64Array(bytes),
  F64: (bytes) => new Float64Array(bytes),
};

// The tensors of a safetensors file, as {data, shape, dtype}, dtype named as the package names it.
export function readSafetensors(file) {
  const content = fs.readFileSync(file);
  const size = Number(content.readBigUInt64LE(0));
  const header = JSON.parse(content.subarray(8, 8 + size));
  delete header.__metadata__;
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: at }] of Object.entries(header)) {
    const bytes = content.buffer.slice(content.byteOffset + 8 + size + at[0], content.byteOffset + 8 + size + at[1]);
    tensors[name] = { data: READERS[dtype](bytes), shape, dtype: dtype.toLowerCase() };
  }
  return tensors;
}

export function relativeError(values, reference) {
  assert.equal(values.length, reference.length);
  let difference = 0;
  let size = 0;
  for (let i = 0; i < values.length; i += 1) {
    difference += (values[i] - reference[i]) ** 2;
    size += reference[i] ** 2;
  }
  return Math.sqrt(difference / Math.max(size, 1e-300));
}

export const rejectsWith = (call, code, text = /./) =>
  assert.rejects(
    async () => call(),
    (error) => {
      assert.equal(error.constructor.name, 'AbyssalError');
      assert.equal(error.code, code, error.message);
      assert.match(error.message, text);
      return true;
    },
  );

export async function eventsOf(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Numbers that look random, the same each time.
export function randoms(seed) {
  let state = seed * 2654435761 + 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}
