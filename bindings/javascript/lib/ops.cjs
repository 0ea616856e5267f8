'use strict';
// Routing, experts and multi-head latent attention on the caller's arrays. A matrix is {data, shape}.

const { native } = require('./native.cjs');
const { invalid } = require('./errors.cjs');
const { copyTensors, product, tensorOf, without } = require('./arrays.cjs');
const { Device, nativeDevice } = require('./device.cjs');

const BLOCK = 64; // tokens of a cache block

const deviceOf = (options) => nativeDevice(options.device ?? new Device());

// The elements of a float32 tensor whose shape is as wanted; null stands for any size.
function floats(name, tensor, wanted) {
  const { shape } = checkShape(name, tensor, wanted);
  if (!(tensor.data instanceof Float32Array)) throw invalid(`${name}: data is not a Float32Array`);
  return { data: tensor.data, shape };
}

function integers(name, tensor, wanted) {
  const { shape } = checkShape(name, tensor, wanted);
  if (!(tensor.data instanceof Int32Array)) throw invalid(`${name}: data is not an Int32Array`);
  return { data: tensor.data, shape };
}

function checkShape(name, tensor, wanted) {
  const checked = tensorOf(name, tensor);
  const fits =
    checked.shape.length === wanted.length && wanted.every((size, i) => size === null || size === checked.shape[i]);
  if (!fits) throw invalid(`${name} has shape [${checked.shape}]; expected [${wanted.map((size) => size ?? 'any')}]`);
  return checked;
}

async function moeRoute(logits, options) {
  const rest = without(options, 'device', 'bias');
  const { data, shape } = floats('logits', logits, [null, null]);
  const bias = options.bias ?? new Float32Array(0);
  if (options.bias && bias.length !== shape[1]) throw invalid(`bias has ${bias.length} elements; expected ${shape[1]}`);
  const args = { ...rest, tokens: shape[0], experts: shape[1] };
  const { index, weight } = await native.route(deviceOf(options), args, data, bias);
  const made = [shape[0], options.topK];
  return { index: { data: index, shape: made }, weight: { data: weight, shape: [...made] } };
}

// Tensors of one type, which is returned.
function oneType(checked, what) {
  const types = new Set(checked.map(({ dtype }) => dtype));
  if (types.size > 1) throw invalid(`the ${what} are of different types: ${[...types].join(', ')}; expected one`);
  return checked[0].dtype;
}

class Experts {
  #native;
  #hidden;

  constructor(made, size) {
    if (!(made instanceof native.Experts)) throw invalid('experts are made by Experts.create()');
    this.#native = made;
    this.#hidden = size;
  }

  static async create({ gate, up, down, shared, scales, sharedScales }, options = {}) {
    for (const [name, list] of Object.entries({ gate, up, down })) {
      if (!Array.isArray(list)) throw invalid(`${name} is not an array of tensors, one per expert`);
    }
    if (gate.length === 0 || up.length !== gate.length || down.length !== gate.length)
      throw invalid(`${gate.length} gates, ${up.length} ups and ${down.length} downs; expected one per expert`);
    const [inter, hidden] = checkShape('gate[0]', gate[0], [null, null]).shape;
    const sharedInter = shared ? checkShape('shared.gate', shared.gate, [null, hidden]).shape[0] : 0;
    const { blockN = 128, blockK = 128 } = options;
    const tensors = [];
    const add = (name, tensor, shape) => {
      const checked = checkShape(name, tensor, shape);
      tensors.push([name, tensor]);
      return checked;
    };
    const group = (sets, suffix, sizeOf) => {
      const checked = [];
      const each = (list, name, shape) =>
        list.forEach((t, i) => checked.push(add(`${name}${suffix}[${i}]`, t, sizeOf(shape))));
      each(sets.gate, 'gate', [inter, hidden]);
      each(sets.up, 'up', [inter, hidden]);
      each(sets.down, 'down', [hidden, inter]);
      return checked;
    };
    const sharedGroup = (set, suffix, sizeOf) => [
      add(`shared.gate${suffix}`, set.gate, sizeOf([sharedInter, hidden])),
      add(`shared.up${suffix}`, set.up, sizeOf([sharedInter, hidden])),
      add(`shared.down${suffix}`, set.down, sizeOf([hidden, sharedInter])),
    ];
    const whole = (shape) => shape;
    const dtype = oneType(
      [...group({ gate, up, down }, '', whole), ...(shared ? sharedGroup(shared, '', whole) : [])],
      'weights',
    );
    const desc = { ...without(options, 'device'), experts: gate.length, hidden, inter, sharedInter, dtype };
    if (scales) {
      if (!(blockN >= 1 && blockK >= 1)) throw invalid('blockN and blockK must be at least 1');
      if (shared && !sharedScales) throw invalid('sharedScales is missing');
      const blocks = ([n, k]) => [Math.ceil(n / blockN), Math.ceil(k / blockK)];
      for (const name of ['gate', 'up', 'down']) {
        if (scales[name]?.length !== gate.length) throw invalid(`scales.${name}: expected one per expert`);
      }
      const made = group(scales, ' scale', blocks);
      desc.scaleDtype = oneType(shared ? [...made, ...sharedGroup(sharedScales, ' scale', blocks)] : made, 'scales');
    }
    const list = await copyTensors(tensors);
    const made = new native.Experts();
    await made.create(deviceOf(options), list, desc);
    return new Experts(made, hidden);
  }

  async run(x, index, weight) {
    const rows = floats('x', x, [null, this.#hidden]);
    const chosen = integers('index', index, [rows.shape[0], null]);
    const factors = floats('weight', weight, chosen.shape);
    const [count, topK] = chosen.shape;
    const data = await this.#native.run(count, topK, rows.data, chosen.data, factors.data);
    return { data, shape: [...rows.shape] };
  }

  get closed() {
    return this.#native.closed();
  }

  close() {
    this.#native.close();
  }
}

class Mla {
  #native;
  #sizes;

  constructor(made, sizes) {
    if (!(made instanceof native.Mla)) throw invalid('MLA layers are made by Mla.create()');
    this.#native = made;
    this.#sizes = sizes;
  }

  static async create(kvB, options) {
    const { heads, qkNopeHeadDim: nope, qkRopeHeadDim: rope, vHeadDim } = options;
    const { dtype, shape } = checkShape('kvB', kvB, [heads * (nope + vHeadDim), null]);
    const list = await copyTensors([['kv_b', kvB]]);
    const made = new native.Mla();
    await made.create(deviceOf(options), list, { ...without(options, 'device'), kvLoraRank: shape[1], dtype });
    return new Mla(made, { heads, query: nope + rope, latent: shape[1] + rope, vHeadDim });
  }

  async attend(q, cache, options) {
    const { heads, query, latent, vHeadDim } = this.#sizes;
    const { rowBegin, context, blockTable, ...rest } = options;
    const queries = floats('q', q, [null, heads, query]);
    const rows = checkShape('cache', cache, [null, BLOCK, latent]);
    const begins = integers('rowBegin', { data: rowBegin, shape: [rowBegin?.length] }, [null]).data;
    const sequences = begins.length - 1;
    if (sequences < 0 || begins[0] !== 0 || begins[sequences] !== queries.shape[0])
      throw invalid(`rowBegin is [${begins}]; expected it to begin with 0 and end with ${queries.shape[0]}`);
    const contexts = integers('context', { data: context, shape: [context?.length] }, [sequences]).data;
    const table = integers('blockTable', blockTable, [sequences, null]);
    const shape = [queries.shape[0], heads, vHeadDim];
    const list = await copyTensors([['cache', cache]]);
    const args = { ...rest, sequences, tableStride: table.shape[1], blocks: rows.shape[0], cacheDtype: rows.dtype };
    const data = await this.#native.attend(args, list, queries.data, begins, contexts, table.data, product(shape));
    return { data, shape };
  }

  get closed() {
    return this.#native.closed();
  }

  close() {
    this.#native.close();
  }
}

module.exports = { Experts, Mla, moeRoute };
