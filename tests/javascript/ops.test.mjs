// Routing, experts and MLA on given arrays, against plain loops in double precision.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Device, ops } from 'abyssal';
import { randoms, rejectsWith, relativeError } from './support.mjs';

const REFUSED = 'ABY_ERROR_INVALID_ARGUMENT';

function tensor(seed, ...shape) {
  const next = randoms(seed);
  return { data: Float32Array.from({ length: shape.reduce((all, n) => all * n, 1) }, next), shape };
}

// The upper halves of float32: exact for values that have no lower half.
const bf16 = ({ data, shape }) => ({
  data: Uint16Array.from(new Uint32Array(data.buffer), (bits) => bits >>> 16),
  shape,
  dtype: 'bf16',
});

function rounded(given) {
  const bits = new Uint32Array(given.data.buffer);
  for (let i = 0; i < bits.length; i += 1) bits[i] &= 0xffff0000;
  return given;
}

for (const backend of ['cpu', 'reference']) {
  const device = new Device({ backend });

  test(`${backend}: routing as V3 does it`, async () => {
    const [rows, e, groups, kept, k] = [17, 64, 8, 4, 8];
    const logits = tensor(1, rows, e);
    const bias = tensor(2, e).data;
    const options = { topK: k, nGroup: groups, topkGroup: kept, scoring: 'sigmoid', topkMethod: 'noaux_tc' };
    const { index, weight } = await ops.moeRoute(logits, {
      ...options,
      normTopkProb: true,
      routedScalingFactor: 2.5,
      bias,
      device,
    });
    assert.deepEqual(
      [index.shape, weight.shape],
      [
        [rows, k],
        [rows, k],
      ],
    );
    for (let row = 0; row < rows; row += 1) {
      const scores = [...logits.data.subarray(row * e, (row + 1) * e)].map((x) => 1 / (1 + Math.exp(-x)));
      const choice = scores.map((score, i) => score + bias[i]);
      const best = (list, score, n) => [...list].sort((a, b) => score(b) - score(a) || a - b).slice(0, n);
      const range = (n, from = 0) => Array.from({ length: n }, (_, i) => from + i);
      const members = (group) => range(e / groups, (group * e) / groups);
      const groupScore = (group) => best(members(group), (i) => choice[i], 2).reduce((all, i) => all + choice[i], 0);
      const open = best(range(groups), groupScore, kept).flatMap(members);
      const chosen = best(open, (i) => choice[i], k).sort((a, b) => a - b);
      const sum = chosen.reduce((all, i) => all + scores[i], 0);
      assert.deepEqual([...index.data.subarray(row * k, (row + 1) * k)], chosen);
      const wanted = chosen.map((i) => (scores[i] / sum) * 2.5);
      assert.ok(relativeError(weight.data.subarray(row * k, (row + 1) * k), wanted) < 1e-5);
    }
    const ties = await ops.moeRoute({ data: new Float32Array(16), shape: [2, 8] }, { topK: 3, device });
    assert.deepEqual([...ties.index.data], [0, 1, 2, 0, 1, 2]);
    const none = await ops.moeRoute({ data: new Float32Array(0), shape: [0, 8] }, { topK: 3, device });
    assert.deepEqual(none.weight, { data: new Float32Array(0), shape: [0, 3] });
    await rejectsWith(() => ops.moeRoute(logits, { topK: 99, device }), REFUSED);
    await rejectsWith(() => ops.moeRoute(logits, { topK: 2, scoring: 'tanh', device }), REFUSED, /tanh/);
    await rejectsWith(() => ops.moeRoute({ ...logits, shape: [e] }, { topK: 2, device }), REFUSED);
    await rejectsWith(() => ops.moeRoute(logits, { topK: 2, bias: new Float32Array(3), device }), REFUSED);
  });

  for (const stored of ['f32', 'bf16']) {
    test(`${backend}: experts in ${stored}, with shared ones`, async () => {
      const [e, d, inter, sharedInter, rows, k] = [5, 48, 40, 56, 9, 2];
      const matrices = (seed, ...shape) => Array.from({ length: e }, (_, i) => rounded(tensor(seed + i, ...shape)));
      const weights = { gate: matrices(10, inter, d), up: matrices(20, inter, d), down: matrices(30, d, inter) };
      const shared = {
        gate: rounded(tensor(40, sharedInter, d)),
        up: rounded(tensor(41, sharedInter, d)),
        down: rounded(tensor(42, d, sharedInter)),
      };
      const store = stored === 'bf16' ? bf16 : (given) => given;
      const map = (set, each) => Object.fromEntries(Object.entries(set).map(([name, value]) => [name, each(value)]));
      const experts = await ops.Experts.create(
        { ...map(weights, (list) => list.map(store)), shared: map(shared, store) },
        { device },
      );
      const x = tensor(50, rows, d);
      const index = {
        data: Int32Array.from({ length: rows * k }, (_, i) => (i * 3 + (i % k)) % (e - 1)),
        shape: [rows, k],
      };
      for (let row = 0; row < rows; row += 1)
        if (index.data[2 * row] === index.data[2 * row + 1]) index.data[2 * row] = e - 2 - index.data[2 * row];
      for (let row = 0; row < rows; row += 1)
        if (index.data[2 * row] === index.data[2 * row + 1]) index.data[2 * row] = (index.data[2 * row] + 1) % e;
      const weight = tensor(51, rows, k);
      const times = ({ data, shape: [n, m] }, row) =>
        Array.from({ length: n }, (_, i) => row.reduce((all, value, j) => all + value * data[i * m + j], 0));
      const mlp = (row, gate, up, down) => {
        const u = times(up, row);
        return times(
          down,
          times(gate, row).map((z, i) => (z / (1 + Math.exp(-z))) * u[i]),
        );
      };
      const wanted = [];
      for (let r = 0; r < rows; r += 1) {
        const row = [...x.data.subarray(r * d, (r + 1) * d)];
        const out = mlp(row, shared.gate, shared.up, shared.down);
        for (let j = 0; j < k; j += 1) {
          const expert = index.data[r * k + j];
          mlp(row, weights.gate[expert], weights.up[expert], weights.down[expert]).forEach((value, i) => {
            out[i] += weight.data[r * k + j] * value;
          });
        }
        wanted.push(...out);
      }
      const out = await experts.run(x, index, weight);
      assert.deepEqual(out.shape, [rows, d]);
      assert.ok(relativeError(out.data, wanted) < 2e-5);
      const bad = { data: new Int32Array(rows * k).fill(e), shape: [rows, k] };
      await rejectsWith(() => experts.run(x, bad, weight), REFUSED);
      await rejectsWith(() => experts.run(x, index, x), REFUSED, /weight has shape/);
      experts.close();
      assert.ok(experts.closed);
      await rejectsWith(() => experts.run(x, index, weight), 'ABY_ERROR_STATE');
      await rejectsWith(() => ops.Experts.create({ ...weights, up: weights.down }, { device }), REFUSED, /up\[0\]/);
      await rejectsWith(() => ops.Experts.create({ ...weights, down: [] }, { device }), REFUSED);
    });
  }

  test(`${backend}: fp8 experts with block scales`, async () => {
    const [e, n, block] = [2, 32, 16];
    const ones = { data: new Uint8Array(n * n).fill(0x38), shape: [n, n], dtype: 'f8_e4m3' }; // 1.0
    const scale = (value) => ({ data: new Float32Array(4).fill(value), shape: [2, 2] });
    const sets = (of) => ({ gate: [of(1), of(1)], up: [of(2), of(3)], down: [of(0.5), of(1)] });
    const weights = sets(() => ones);
    const experts = await ops.Experts.create(
      { ...weights, scales: sets(scale) },
      { blockN: block, blockK: block, device },
    );
    const x = { data: new Float32Array(n).fill(1 / n), shape: [1, n] };
    const pick = (expert) =>
      experts.run(x, { data: Int32Array.of(expert), shape: [1, 1] }, { data: Float32Array.of(1), shape: [1, 1] });
    const silu = 1 / (1 + Math.exp(-1));
    assert.ok(relativeError((await pick(0)).data, new Array(n).fill(silu * 2 * 0.5 * n)) < 1e-5);
    assert.ok(relativeError((await pick(1)).data, new Array(n).fill(silu * 3 * n)) < 1e-5);
    await rejectsWith(
      () => ops.Experts.create({ ...weights, scales: sets(scale) }, { device }),
      REFUSED,
      /expected \[1,1\]/,
    );
  });

  for (const stored of ['f32', 'bf16']) {
    test(`${backend}: MLA over a ${stored} cache`, async () => {
      const [h, rank, nope, rope, v] = [3, 32, 16, 8, 24];
      const [context, fresh] = [
        [0, 70, 5],
        [3, 1, 20],
      ];
      const begins = [0, 3, 4, 24];
      const kvB = tensor(1, h * (nope + v), rank);
      const q = tensor(2, 24, h, nope + rope);
      const cache = rounded(tensor(3, 8, 64, rank + rope));
      const table = [
        [6, 0],
        [2, 5],
        [7, 1],
      ];
      const scale = (nope + rope) ** -0.5;
      const sizes = { heads: h, qkNopeHeadDim: nope, qkRopeHeadDim: rope, vHeadDim: v };
      const layer = await ops.Mla.create(kvB, { ...sizes, device });
      const dot = (a, at, b, bt, n) => {
        let sum = 0;
        for (let i = 0; i < n; i += 1) sum += a[at + i] * b[bt + i];
        return sum;
      };
      const width = rank + rope;
      const wanted = [];
      for (let s = 0; s < 3; s += 1)
        for (let t = 0; t < fresh[s]; t += 1)
          for (let head = 0; head < h; head += 1) {
            const query = ((begins[s] + t) * h + head) * (nope + rope);
            const up = head * (nope + v) * rank;
            const row = (position) => (table[s][position >> 6] * 64 + (position & 63)) * width;
            const scores = Array.from({ length: context[s] + t + 1 }, (_, p) => {
              let score = dot(q.data, query + nope, cache.data, row(p) + rank, rope);
              for (let i = 0; i < nope; i += 1)
                score += q.data[query + i] * dot(kvB.data, up + i * rank, cache.data, row(p), rank);
              return Math.exp(score * scale);
            });
            const sum = scores.reduce((all, score) => all + score, 0);
            for (let i = 0; i < v; i += 1)
              wanted.push(
                scores.reduce(
                  (all, p, at) => all + (p / sum) * dot(kvB.data, up + (nope + i) * rank, cache.data, row(at), rank),
                  0,
                ),
              );
          }
      const good = {
        rowBegin: Int32Array.from(begins),
        context: Int32Array.from(context),
        blockTable: { data: Int32Array.from(table.flat()), shape: [3, 2] },
        scale,
      };
      const given = stored === 'bf16' ? bf16(cache) : cache;
      for (const absorbBelow of [1, 2 ** 32 - 1]) {
        const out = await layer.attend(q, given, { ...good, absorbBelow });
        assert.deepEqual(out.shape, [24, h, v]);
        assert.ok(relativeError(out.data, wanted) < 2e-5);
      }
      await rejectsWith(() => layer.attend(q, given, { ...good, rowBegin: Int32Array.of(0, 3, 4, 23) }), REFUSED);
      await rejectsWith(() => layer.attend(q, given, { ...good, context: Int32Array.of(0, 70, 500) }), REFUSED);
      await rejectsWith(() => layer.attend(q, { ...given, shape: [8, 64, 2] }, good), REFUSED);
      layer.close();
      await rejectsWith(() => layer.attend(q, given, good), 'ABY_ERROR_STATE');
    });
  }
}
