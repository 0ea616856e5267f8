'use strict';
// Arrays from the caller: options, token ids, and tensors of any stored type.

const { native } = require('./native.cjs');
const { invalid } = require('./errors.cjs');

const PART = 1 << 22; // bytes copied before other events have their turn

function checkObject(options) {
  if (options === null || typeof options !== 'object') throw invalid('the options are not an object');
}

// A copy of options without some of them, which the library does not know.
function without(options, ...names) {
  checkObject(options);
  const rest = { ...options };
  for (const name of names) delete rest[name];
  return rest;
}

// A misspelt option must not be ignored.
function checkNames(options, known) {
  checkObject(options);
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw invalid(`unknown option ${name}; expected one of ${known.join(', ')}`);
  }
}

// Typed arrays of other integers become arrays of numbers, which the addon checks.
function tokenIds(tokens) {
  if (tokens instanceof Int32Array || Array.isArray(tokens)) return tokens;
  if (ArrayBuffer.isView(tokens) && !(tokens instanceof DataView)) return Array.from(tokens, Number);
  throw invalid('tokens are neither an Int32Array nor an array of integers');
}

// The type of an array's elements, where it is clear, and of those that only carry the bits.
const OWN_TYPES = new Map([
  [Float32Array, 'f32'],
  [Int8Array, 'i8'],
  [Int32Array, 'i32'],
  [BigInt64Array, 'i64'],
]);
const BYTES = { f32: 4, f16: 2, bf16: 2, f8_e4m3: 1, f8_e8m0: 1, i8: 1, u8: 1, i32: 4, i64: 8 };

const product = (shape) => shape.reduce((all, size) => all * size, 1);

// {dtype, shape, bytes} of {data, shape, dtype}, checked.
function tensorOf(name, tensor) {
  if (tensor === null || typeof tensor !== 'object') throw invalid(`tensor ${name} is not an object {data, shape}`);
  const { data, shape } = tensor;
  if (!ArrayBuffer.isView(data) || data instanceof DataView) throw invalid(`tensor ${name}: data is not a typed array`);
  if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && size >= 0))
    throw invalid(`tensor ${name}: shape is not an array of sizes`);
  const dtype = tensor.dtype ?? OWN_TYPES.get(data.constructor);
  if (dtype === undefined)
    throw invalid(`tensor ${name}: give the dtype of what a ${data.constructor.name} holds, such as 'bf16'`);
  const size = BYTES[dtype];
  if (size === undefined && data.BYTES_PER_ELEMENT !== 1)
    throw invalid(`tensor ${name}: a ${data.constructor.name} cannot hold ${dtype}`);
  if (size !== undefined && data.BYTES_PER_ELEMENT !== size)
    throw invalid(`tensor ${name}: a ${data.constructor.name} cannot hold ${dtype}, whose elements have ${size} bytes`);
  if (size !== undefined && data.length !== product(shape))
    throw invalid(`tensor ${name}: ${data.length} elements; the shape [${shape}] has ${product(shape)}`);
  return { name, dtype, shape, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

// The addon's copy of tensors: a part at a time, so that other events go on meanwhile.
async function copyTensors(tensors) {
  const checked = tensors.map(([name, tensor]) => tensorOf(name, tensor));
  const list = new native.Tensors();
  let sinceTurn = 0;
  for (const [index, { name, dtype, shape, bytes }] of checked.entries()) {
    const size = bytes.byteLength;
    list.add(name, dtype, shape, size);
    for (let at = 0; at < size; at += PART) {
      if (bytes.byteLength !== size) throw invalid(`tensor ${name}: its buffer was detached meanwhile`);
      const part = bytes.subarray(at, at + PART);
      list.write(index, at, part);
      sinceTurn += part.byteLength;
      if (sinceTurn < PART) continue;
      await turn();
      sinceTurn = 0;
    }
  }
  return list;
}

function namedTensors(tensors) {
  if (tensors instanceof Map) return [...tensors];
  if (tensors === null || typeof tensors !== 'object') throw invalid('tensors are neither an object nor a Map');
  return Object.entries(tensors);
}

module.exports = { checkNames, copyTensors, namedTensors, product, tensorOf, tokenIds, without };
