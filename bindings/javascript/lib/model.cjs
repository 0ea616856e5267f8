'use strict';

const { fileURLToPath } = require('node:url');
const { native } = require('./native.cjs');
const { abortable, aborted, checkSignal, invalid } = require('./errors.cjs');
const { checkNames, copyTensors, namedTensors, tokenIds, without } = require('./arrays.cjs');
const { compile } = require('./constraint.cjs');
const { Device, nativeDevice } = require('./device.cjs');
const { Sequence, nativeSequence } = require('./sequence.cjs');
const { makeStream } = require('./stream.cjs');

const TOKENIZE = { addBos: 1, plain: 2 };
const SKIP_SPECIAL = 1;
const QUANTIZE_OPTIONS = ['weights', 'threads', 'signal', 'onProgress'];
const CHAT_OPTIONS = ['tools', 'allowDroppedTools', 'chatTemplate', 'variables', 'sequence'];

function pathOf(path) {
  if (typeof path?.href === 'string') return fileURLToPath(path.href);
  if (typeof path !== 'string') throw invalid('path is neither a string nor a file URL');
  if (path.includes('\0')) throw invalid('path holds a NUL character');
  return path;
}

function json(value, what) {
  if (typeof value === 'string') return value;
  let text;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw invalid(`${what} cannot be written as JSON: ${error.message}`);
  }
  if (text === undefined) throw invalid(`${what} cannot be written as JSON`);
  return text;
}

function flags(options, known) {
  checkNames(options, Object.keys(known));
  return Object.entries(known).reduce((all, [name, flag]) => (options[name] ? all | flag : all), 0);
}

function chatOptions({ tools, variables, ...rest }) {
  if (tools !== undefined && tools !== null) rest.toolsJson = json(tools, 'tools');
  if (variables !== undefined && variables !== null) rest.variablesJson = json(variables, 'variables');
  return rest;
}

function checkPlace({ device, backend }) {
  if ((device ?? null) !== null && (backend ?? null) !== null)
    throw invalid('device and backend are both given; a device has its backend');
}

// Options of a model as the addon takes them: without some that are for this side.
function modelOptions(options, ...own) {
  const rest = without(options, ...own);
  for (const name of ['tokenizer', 'packedCache'])
    if (rest[name] !== undefined && rest[name] !== null) rest[name] = pathOf(rest[name]);
  return rest;
}

const emitWarning = (text) => process.emitWarning(text, 'AbyssalWarning');

// Makes a call with a signal, and with functions that it tells what it does: what one of them throws ends the call.
// start(cancel, progress, warning) begins it.
async function listened(options, start) {
  let failed = null;
  let stop;
  const guarded = (name) => {
    const told = options[name];
    if (told === undefined) return undefined;
    if (typeof told !== 'function') throw invalid(`${name} is not a function`);
    return (...values) => {
      if (failed) return;
      try {
        told(...values);
      } catch (error) {
        failed = { error };
        stop();
      }
    };
  };
  const [progress, warning = emitWarning] = ['onProgress', 'onWarning'].map(guarded);
  try {
    await abortable(options.signal, (cancel) => {
      stop = () => cancel.cancel();
      return start(cancel, progress, warning);
    });
  } catch (error) {
    throw failed ? failed.error : error;
  }
  if (failed) throw failed.error;
}

// start(made, options, device, cancel, progress, warning) begins the call.
async function open(options, start) {
  const rest = modelOptions(options, 'device', 'signal', 'onProgress', 'onWarning');
  checkPlace(options);
  const made = new native.Model();
  try {
    await listened(options, (...listeners) => start(made, rest, nativeDevice(options.device), ...listeners));
    // A small model is open before it hears of an abort.
    if (options.signal?.aborted) throw aborted(options.signal, 'opening the model was cancelled');
  } catch (error) {
    made.close();
    throw error;
  }
  return made;
}

class Model {
  #native;

  constructor(made) {
    if (!(made instanceof native.Model)) throw invalid('models are made by Model.open() and Model.fromTensors()');
    this.#native = made;
  }

  static async open(path, options = {}) {
    const place = pathOf(path);
    return new Model(await open(options, (made, ...rest) => made.open(place, ...rest)));
  }

  static async fromTensors(config, tensors, options = {}) {
    const text = json(config, 'config');
    checkSignal(options?.signal);
    const list = await copyTensors(namedTensors(tensors));
    return new Model(await open(options, (made, ...rest) => made.open_tensors(text, list, ...rest)));
  }

  static async plan(path, options = {}) {
    const place = pathOf(path);
    checkSignal(options.signal);
    checkPlace(options);
    return native.Model.plan(place, modelOptions(options, 'device', 'signal'), nativeDevice(options.device));
  }

  static async quantize(path, out, options = {}) {
    const [from, to] = [pathOf(path), pathOf(out)];
    checkNames(options, QUANTIZE_OPTIONS);
    const rest = { weights: options.weights ?? 'int8', threads: options.threads };
    await listened(options, (cancel, progress) => native.Model.quantize(from, to, rest, cancel, progress));
  }

  async update(tensors) {
    const list = await copyTensors(namedTensors(tensors));
    await this.#native.update(list);
  }

  get info() {
    return this.#native.info();
  }

  get device() {
    const made = new native.Device();
    made.open_of(this.#native);
    return new Device(made);
  }

  get eosTokens() {
    return this.#native.eos_tokens();
  }

  async profile(on = true) {
    await this.#native.profile(on);
  }

  get profileParts() {
    return this.#native.profile_parts();
  }

  async tokenize(text, options = {}) {
    return this.#native.tokenize(text, flags(options, TOKENIZE));
  }

  async detokenize(tokens, options = {}) {
    return this.#native.detokenize(tokenIds(tokens), flags(options, { skipSpecial: SKIP_SPECIAL }));
  }

  async decode(tokens, options = {}) {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(await this.detokenize(tokens, options));
  }

  async renderChat(messages, options = {}) {
    return this.#native.render_chat(json(messages, 'messages'), chatOptions(options));
  }

  sequence() {
    const made = new native.Sequence();
    made.create(this.#native);
    return new Sequence(made);
  }

  async constraint(source) {
    return compile(this.#native, source);
  }

  generate(prompt, options = {}) {
    const given = typeof prompt === 'string' ? prompt : tokenIds(prompt).slice();
    return makeStream(options, async () => {
      const tokens = typeof given === 'string' ? await this.tokenize(given, { addBos: true }) : given;
      const sequence = this.#newSequence();
      return { sequence, owned: sequence, tokens, plain: options.plain ?? true };
    });
  }

  chat(messages, options = {}) {
    if (options?.plain !== undefined) throw invalid('unknown option plain; chat() tells reasoning from content');
    const { tools, allowDroppedTools, chatTemplate, variables } = options;
    const given = json(messages, 'messages');
    const onto = options.sequence && nativeSequence(options.sequence);
    return makeStream(
      options,
      async () => {
        const text = await this.renderChat(given, { tools, allowDroppedTools, chatTemplate, variables });
        const tokens = await this.tokenize(text);
        if (onto) return { sequence: onto, tokens: keepShared(onto, tokens), plain: false };
        const sequence = this.#newSequence();
        return { sequence, owned: sequence, tokens, plain: false };
      },
      CHAT_OPTIONS,
    );
  }

  #newSequence() {
    const made = new native.Sequence();
    made.create(this.#native);
    return made;
  }

  get closed() {
    return this.#native.closed();
  }

  close() {
    this.#native.close();
  }
}

// Keeps what a sequence shares with a prompt from the start; the rest of the prompt. Its last token is evaluated in any
// case, for its logits.
function keepShared(sequence, prompt) {
  const known = sequence.tokens();
  const most = Math.min(known.length, prompt.length - 1);
  let shared = 0;
  while (shared < most && known[shared] === prompt[shared]) shared += 1;
  sequence.truncate(shared);
  return prompt.subarray(shared);
}

module.exports = { Model };
