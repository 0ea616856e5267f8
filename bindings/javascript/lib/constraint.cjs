'use strict';
// What binds a reply: masks of tokens, and schemas, expressions and grammars of its content.

const { native } = require('./native.cjs');
const { invalid } = require('./errors.cjs');
const { checkNames } = require('./arrays.cjs');

const KINDS = { jsonSchema: 'json_schema', regex: 'regex', grammar: 'grammar' };
const SOURCES = Object.keys(KINDS);
const CONSTRAINTS = ['constraint', ...SOURCES];

class Constraint {
  #native;

  constructor(made) {
    if (!(made instanceof native.Constraint)) throw invalid('constraints are made by model.constraint()');
    this.#native = made;
  }

  static native(constraint) {
    if (!(constraint instanceof Constraint)) throw invalid('constraint is not a Constraint');
    return constraint.#native;
  }

  get closed() {
    return this.#native.closed();
  }

  close() {
    this.#native.close();
  }
}

const nativeConstraint = Constraint.native;
delete Constraint.native;

// The one of names that is given; undefined: none.
function given(options, names) {
  const found = names.filter((name) => options[name] !== undefined && options[name] !== null);
  if (found.length > 1) throw invalid(`${found.join(' and ')} are given; expected one of ${names.join(', ')}`);
  return found[0];
}

function sourceOf(name, value) {
  const text = name === 'jsonSchema' && typeof value !== 'string' ? JSON.stringify(value) : value;
  if (typeof text !== 'string') throw invalid(`${name} is not a string`);
  return { kind: KINDS[name], text };
}

// The constraint among a reply's options, checked: null, {made} of an object, or {kind, text}.
function constraintOf(options) {
  const name = given(options, CONSTRAINTS);
  if (name === undefined) return null;
  return name === 'constraint' ? { made: nativeConstraint(options.constraint) } : sourceOf(name, options[name]);
}

// The addon's constraint for a reply on a sequence. What was compiled here is the caller's to close.
async function compiledFor(sequence, options) {
  const found = constraintOf(options);
  if (found === null || found.made) return { constraint: found?.made ?? null, own: null };
  const own = new native.Constraint();
  await own.compile_for(sequence, found.kind, found.text);
  return { constraint: own, own };
}

async function compile(model, source) {
  checkNames(source, SOURCES);
  const name = given(source, SOURCES);
  if (name === undefined) throw invalid(`nothing is given; expected one of ${SOURCES.join(', ')}`);
  const { kind, text } = sourceOf(name, source[name]);
  const made = new native.Constraint();
  await made.compile(model, kind, text);
  return new Constraint(made);
}

// A byte for each id; none for no mask.
function maskFlags(mask) {
  if (mask === undefined || mask === null) return new Uint8Array(0);
  if (!(mask instanceof Uint8Array) && !Array.isArray(mask)) throw invalid('mask is neither a Uint8Array nor an array');
  if (mask.length === 0) throw invalid('mask is empty; expected a flag for each id, or null');
  return mask instanceof Uint8Array ? mask.slice() : Uint8Array.from(mask, Boolean);
}

module.exports = { CONSTRAINTS, Constraint, compile, compiledFor, constraintOf, maskFlags };
