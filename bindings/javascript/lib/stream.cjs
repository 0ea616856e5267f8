'use strict';

const { native } = require('./native.cjs');
const { AbyssalError, aborted, checkSignal, invalid } = require('./errors.cjs');
const { checkNames, tokenIds, without } = require('./arrays.cjs');
const { CONSTRAINTS, constraintOf, maskFlags } = require('./constraint.cjs');

const KINDS = ['prompt', 'token', 'end'];
const TEXT_KINDS = ['content', 'reasoning'];
const FINISH_REASONS = [null, 'stop', 'length', 'cancelled'];
const NUMBERS = 9; // of an event, as generation.cpp writes them

class Event {
  constructor(text, numbers, at) {
    this.kind = KINDS[numbers[at]] ?? 'unknown';
    this.text = text;
    this.textKind = TEXT_KINDS[numbers[at + 1]] ?? 'unknown';
    this.token = numbers[at + 2];
    this.finishReason = numbers[at + 3] < FINISH_REASONS.length ? FINISH_REASONS[numbers[at + 3]] : 'unknown';
    this.promptDone = numbers[at + 4];
    this.promptTotal = numbers[at + 5];
    this.completionTokens = numbers[at + 6];
    this.reasoningTokens = numbers[at + 7];
  }
}

const usageOf = (event) => ({
  promptTokens: event?.promptDone ?? 0,
  completionTokens: event?.completionTokens ?? 0,
  reasoningTokens: event?.reasoningTokens ?? 0,
});

const SAMPLING = ['maxTokens', 'temperature', 'topP', 'topK', 'minP', 'seed', 'ignoreEos', 'chunk', 'plain'];

// Those of a reply among options that were checked for others.
function replyOptions(options) {
  const chosen = {};
  for (const name of SAMPLING) if (options[name] !== undefined) chosen[name] = options[name];
  if (chosen.maxTokens === 0) throw invalid('maxTokens is 0; expected at least 1, or undefined for no limit');
  if (chosen.temperature < 0) throw invalid(`temperature is ${chosen.temperature}; expected 0 (greedy) or more`);
  return { ...chosen, ...constraintOf(options) };
}

const hidden = Symbol('made here');

class Stream {
  #prepare; // what is awaited before the first step: {sequence, tokens, plain, owned}
  #options;
  #signal;
  #abort = () => void this.#stop().catch(() => {});
  #native = null;
  #mask; // until the reply begins
  #owned = null;
  #text = ''; // of the events that are here, and how much of it was read
  #textAt = 0;
  #numbers = []; // of the events, and how many of these were read
  #at = 0;
  #last = null;
  #state = 'new'; // 'running', then 'ended'
  #cancelled = false;
  #stopping = null;
  #turns = Promise.resolve(); // next() calls are served in their order
  #waiting = 0; // of them, those that have not been served

  constructor(key, options, prepare) {
    if (key !== hidden) throw invalid('streams are made by generate() and chat()');
    this.#prepare = prepare;
    this.#options = options;
    this.#signal = options.signal ?? null;
    this.#mask = maskFlags(options.mask);
  }

  async #start() {
    checkSignal(this.#signal);
    this.#state = 'running';
    this.#signal?.addEventListener('abort', this.#abort, { once: true });
    const prepare = this.#prepare;
    this.#prepare = null;
    const { sequence, tokens, plain, owned } = await prepare();
    if (this.#state === 'ended') {
      owned?.close();
      return;
    }
    this.#owned = owned ?? null;
    const stopTokens = tokenIds(this.#options.stopTokens ?? []);
    const made = new native.Generation();
    const writeAhead = this.#options.writeAhead ?? true;
    made.create(sequence, tokens, { ...replyOptions(this.#options), plain }, stopTokens, this.#mask, writeAhead);
    if (this.#cancelled) made.cancel();
    this.#native = made;
  }

  #takeHere() {
    const at = this.#at;
    const end = this.#numbers[at + NUMBERS - 1];
    this.#last = new Event(this.#text.slice(this.#textAt, end), this.#numbers, at);
    this.#at = at + NUMBERS;
    this.#textAt = end;
    return this.#last;
  }

  async #next() {
    if (this.#state === 'new') await this.#start();
    while (this.#state === 'running') {
      if (this.#at < this.#numbers.length) {
        const event = this.#takeHere();
        if (event.kind === 'end') await this.#stop();
        return { value: event, done: false };
      }
      const batch = this.#native.poll() ?? (await this.#native.take());
      this.#text = batch.text;
      this.#textAt = 0;
      this.#numbers = batch.numbers;
      this.#at = 0;
    }
    await this.#stopping;
    if (this.#signal?.aborted && this.#last?.kind !== 'end') {
      const error = aborted(this.#signal);
      this.#signal = null; // told once
      throw error;
    }
    return { value: undefined, done: true };
  }

  // Lets go of the sequence, which then holds what was read. The same promise each time.
  #stop() {
    this.#stopping ??= this.#finish();
    return this.#stopping;
  }

  async #finish() {
    this.#state = 'ended';
    this.#signal?.removeEventListener('abort', this.#abort);
    try {
      const atEnd = this.#last?.kind === 'end' && this.#native.finish_at_end(); // needs no other thread
      if (!atEnd) await this.#native?.stop(this.#last?.promptDone ?? 0, this.#last?.completionTokens ?? 0);
    } finally {
      this.#native = null;
      this.#owned?.close();
    }
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  next() {
    // An event that is here, and is not the last, needs no turn: turns take longer than a small model's token.
    if (this.#waiting === 0 && this.#state === 'running' && this.#at + NUMBERS < this.#numbers.length)
      return Promise.resolve({ value: this.#takeHere(), done: false });
    this.#waiting += 1;
    const turn = this.#turns.then(async () => {
      try {
        return await this.#next();
      } catch (error) {
        await this.#stop();
        throw error;
      } finally {
        this.#waiting -= 1;
      }
    });
    this.#turns = turn.catch(() => {});
    return turn;
  }

  async return(value) {
    await this.#stop();
    return { value, done: true };
  }

  async setMask(mask) {
    const flags = maskFlags(mask);
    if (this.#state === 'ended') throw new AbyssalError('the reply is closed', 'ABY_ERROR_STATE', -14);
    if (this.#native === null) this.#mask = flags;
    else await this.#native.set_mask(flags);
  }

  cancel() {
    this.#cancelled = true;
    this.#native?.cancel();
  }

  async close() {
    await this.#stop();
  }

  async reply() {
    const reply = { content: '', reasoning: '', text: '', tokens: [], finishReason: 'cancelled', usage: usageOf(null) };
    for await (const event of this) {
      if (event.textKind === 'reasoning') reply.reasoning += event.text;
      else reply.content += event.text;
      if (event.kind === 'token') reply.tokens.push(event.token);
      if (event.kind === 'end') {
        reply.finishReason = event.finishReason;
        reply.usage = usageOf(event);
      }
    }
    reply.text = reply.reasoning + reply.content;
    return reply;
  }
}

// Names that are no options of a reply belong to the caller: known lists them.
function makeStream(options, prepare, known = []) {
  const own = ['stopTokens', 'mask', 'writeAhead', 'signal'];
  const rest = without(options, ...own, ...known);
  checkNames(rest, [...SAMPLING, ...CONSTRAINTS, ...own, ...known]);
  replyOptions(rest);
  return new Stream(hidden, options, prepare);
}

module.exports = { Event, Stream, makeStream };
