'use strict';

const { native } = require('./native.cjs');
const { abortable, invalid } = require('./errors.cjs');
const { tokenIds, without } = require('./arrays.cjs');
const { makeStream } = require('./stream.cjs');

const KEEP = { hidden: 1, hiddenLayers: 2, routes: 4 };

function evalOptions(options) {
  const rest = without(options, 'signal', ...Object.keys(KEEP));
  if ('keep' in rest) throw invalid('unknown option keep; expected one of hidden, hiddenLayers, routes');
  rest.keep = 0;
  for (const [name, flag] of Object.entries(KEEP)) if (options[name]) rest.keep |= flag;
  return rest;
}

class Sequence {
  #native;

  constructor(made) {
    if (!(made instanceof native.Sequence)) throw invalid('sequences are made by model.sequence()');
    this.#native = made;
  }

  static native(sequence) {
    if (!(sequence instanceof Sequence)) throw invalid('sequence is not a Sequence');
    return sequence.#native;
  }

  async eval(tokens, options = {}) {
    const ids = tokenIds(tokens);
    const rest = evalOptions(options);
    return abortable(options.signal, (cancel) => this.#native.eval(ids, rest, cancel));
  }

  output(kind, layer = -1) {
    return this.#native.output(kind, layer);
  }

  get logits() {
    return this.output('logits').data;
  }

  get hidden() {
    return this.output('hidden').data;
  }

  get length() {
    return this.#native.length();
  }

  get tokens() {
    return this.#native.tokens();
  }

  truncate(length) {
    this.#native.truncate(length);
  }

  fork() {
    const made = new native.Sequence();
    made.fork_of(this.#native);
    return new Sequence(made);
  }

  cancel() {
    this.#native.cancel();
  }

  generate(tokens = [], options = {}) {
    const ids = tokenIds(tokens).slice();
    return makeStream(options, () => ({ sequence: this.#native, tokens: ids, plain: options.plain ?? true }));
  }

  get closed() {
    return this.#native.closed();
  }

  close() {
    this.#native.close();
  }
}

// The class without what is only for its neighbours.
const nativeSequence = Sequence.native;
delete Sequence.native;

async function evalBatch(sequences, tokens, options = {}) {
  if (!Array.isArray(sequences) || !Array.isArray(tokens)) throw invalid('sequences and tokens are not both arrays');
  if (sequences.length !== tokens.length)
    throw invalid(`${sequences.length} sequences, but tokens of ${tokens.length}`);
  const batch = new native.Batch();
  for (const [i, sequence] of sequences.entries()) batch.add(nativeSequence(sequence), tokenIds(tokens[i]));
  const rest = evalOptions(options);
  return abortable(options.signal, (cancel) => batch.eval(rest, cancel));
}

module.exports = { Sequence, evalBatch, nativeSequence };
