'use strict';
// What binds a reply: masks of tokens, and schemas, expressions and grammars of its content.

const { invalid } = require('./errors.cjs');

const KINDS = { jsonSchema: 'json_schema', regex: 'regex', grammar: 'grammar' };
const CONSTRAINTS = Object.keys(KINDS);

// The fields of the C API's options for the constraint among a reply's options.
function constraintOf(options) {
  const given = CONSTRAINTS.filter((name) => options[name] !== undefined && options[name] !== null);
  if (given.length === 0) return {};
  if (given.length > 1) throw invalid(`${given.join(' and ')} are given; expected one of ${CONSTRAINTS.join(', ')}`);
  const [name] = given;
  const value = options[name];
  const text = name === 'jsonSchema' && typeof value !== 'string' ? JSON.stringify(value) : value;
  if (typeof text !== 'string') throw invalid(`${name} is not a string`);
  const nul = text.indexOf('\0');
  if (nul >= 0) throw invalid(`${name} holds a NUL character at position ${nul}`);
  return { constraintKind: KINDS[name], constraint: text };
}

// A byte for each id; none for no mask.
function maskFlags(mask) {
  if (mask === undefined || mask === null) return new Uint8Array(0);
  if (!(mask instanceof Uint8Array) && !Array.isArray(mask)) throw invalid('mask is neither a Uint8Array nor an array');
  if (mask.length === 0) throw invalid('mask is empty; expected a flag for each id, or null');
  return mask instanceof Uint8Array ? mask.slice() : Uint8Array.from(mask, Boolean);
}

module.exports = { CONSTRAINTS, constraintOf, maskFlags };
