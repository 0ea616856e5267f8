'use strict';

const { native } = require('./native.cjs');
const { aborted, checkSignal, invalid, wrongState } = require('./errors.cjs');
const { checkNames, tokenIds, without } = require('./arrays.cjs');
const { CONSTRAINTS, compiledFor, constraintOf, maskFlags } = require('./constraint.cjs');

const KINDS = ['prompt', 'token', 'end'];
const TEXT_KINDS = ['content', 'reasoning'];
const FINISH_REASONS = [null, 'stop', 'length', 'cancelled', 'context'];
const NUMBERS = 10; // of an event, as events.cpp writes them

const nameOf = (names, number) => (number < names.length ? names[number] : 'unknown');

class Event {
  constructor(text, numbers, at) {
    this.kind = nameOf(KINDS, numbers[at]);
    this.text = text;
    this.textKind = nameOf(TEXT_KINDS, numbers[at + 1]);
    this.token = numbers[at + 2];
    this.logprob = Number.isNaN(numbers[at + 3]) ? null : numbers[at + 3];
    this.finishReason = nameOf(FINISH_REASONS, numbers[at + 4]);
    this.promptDone = numbers[at + 5];
    this.promptTotal = numbers[at + 6];
    this.completionTokens = numbers[at + 7];
    this.reasoningTokens = numbers[at + 8];
  }
}

const usageOf = (event) => ({
  promptTokens: event?.promptDone ?? 0,
  completionTokens: event?.completionTokens ?? 0,
  reasoningTokens: event?.reasoningTokens ?? 0,
});

const NOT_NEGATIVE = ['temperature', 'topP', 'topK', 'minP'];
const SAMPLING = [...NOT_NEGATIVE, 'maxTokens', 'seed', 'ignoreEos', 'logprobs', 'chunk', 'plain'];
const RANDOM_SEED = 2n ** 64n - 1n; // the library's, for none

// Those of a reply among options that were checked for others.
function replyOptions(options) {
  const chosen = {};
  for (const name of SAMPLING) if (options[name] !== undefined) chosen[name] = options[name];
  for (const name of NOT_NEGATIVE)
    if (chosen[name] < 0) throw invalid(`${name} is ${chosen[name]}; expected 0 or more, or undefined`);
  if (chosen.seed === RANDOM_SEED) throw invalid(`seed is ${chosen.seed}; expected less, or undefined for a random one`);
  return chosen;
}

const hidden = Symbol('made here');

class Stream {
  #prepare; // what is awaited before the first step: {sequence, tokens, plain, owned}
  #options;
  #signal;
  #abort = () => void this.#stop().catch(() => {});
  #native = null;
  #mask; // until the reply begins
  #seed = null;
  #ahead = false;
  #owned = []; // closed with the stream
  #text = ''; // of the events that are here, and how much of it was read
  #textAt = 0;
  #numbers = []; // of the events, and how many of these were read
  #at = 0;
  #complete = false; // the event of kind "end" was read
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
    const options = this.#options;
    const { sequence, tokens, plain, owned } = await this.#prepare();
    if (owned) this.#owned.push(owned);
    const { constraint, own } = await compiledFor(sequence, options);
    if (own) this.#owned.push(own);
    if (this.#state === 'ended') return this.#closeOwned();
    const stopTokens = tokenIds(options.stopTokens ?? []);
    this.#ahead = owned !== undefined && (options.writeAhead ?? true);
    const made = new native.Generation();
    made.create(sequence, tokens, { ...replyOptions(options), plain }, stopTokens, this.#mask, constraint, this.#ahead);
    this.#seed = made.seed();
    if (this.#cancelled) made.cancel();
    this.#native = made;
  }

  #closeOwned() {
    for (const owned of this.#owned) owned.close();
  }

  #takeHere() {
    const at = this.#at;
    const end = this.#numbers[at + NUMBERS - 1];
    const event = new Event(this.#text.slice(this.#textAt, end), this.#numbers, at);
    this.#at = at + NUMBERS;
    this.#textAt = end;
    return event;
  }

  async #next() {
    if (this.#state === 'new') await this.#start();
    while (this.#state === 'running') {
      if (this.#at === this.#numbers.length) {
        const batch = this.#native.poll() ?? (await this.#native.take());
        this.#text = batch.text;
        this.#textAt = 0;
        this.#numbers = batch.numbers;
        this.#at = 0;
        if (this.#numbers.length === 0) continue; // stopped meanwhile
      }
      // One that was made before the stream was stopped belongs to the sequence; an end is then of the stop's making.
      const event = this.#takeHere();
      if (event.kind === 'end') {
        if (this.#state === 'ended') break;
        this.#complete = true;
        await this.#stop();
      }
      return { value: event, done: false };
    }
    await this.#stopping;
    if (this.#signal?.aborted && !this.#complete) {
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
      if (!this.#complete) await this.#native?.stop(); // else it has let go already
    } finally {
      this.#native = null;
      this.#closeOwned();
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
        // A step that found no room in the cache can be tried again.
        if (error.code !== 'ABY_ERROR_CACHE_FULL') await this.#stop();
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
    if (this.#state === 'ended') throw wrongState('the reply is closed');
    if (this.#native === null) this.#mask = flags;
    else if (this.#ahead) throw wrongState('the reply is written ahead of its reader: begin it with writeAhead: false');
    else await this.#native.set_mask(flags);
  }

  get seed() {
    return this.#seed;
  }

  cancel() {
    this.#cancelled = true;
    this.#native?.cancel();
  }

  async close() {
    await this.#stop();
  }

  async reply() {
    const reply = { content: '', reasoning: '', text: '', tokens: [], logprobs: [], finishReason: 'cancelled' };
    let usage = usageOf(null);
    try {
      for await (const event of this) {
        if (event.textKind === 'reasoning') reply.reasoning += event.text;
        else reply.content += event.text;
        if (event.kind === 'token') {
          reply.tokens.push(event.token);
          if (this.#options.logprobs) reply.logprobs.push(event.logprob ?? NaN);
        }
        if (event.kind === 'end') {
          reply.finishReason = event.finishReason;
          usage = usageOf(event);
        }
      }
    } finally {
      await this.#stop();
    }
    if (this.#seed === null) throw wrongState('the reply was closed before it had begun');
    reply.text = reply.reasoning + reply.content;
    return { ...reply, seed: this.#seed, usage };
  }
}

// Names that are no options of a reply belong to the caller: known lists them.
function makeStream(options, prepare, known = []) {
  const own = ['stopTokens', 'mask', 'writeAhead', 'signal'];
  const rest = without(options, ...own, ...known);
  checkNames(rest, [...SAMPLING, ...CONSTRAINTS, ...own, ...known]);
  replyOptions(rest);
  constraintOf(rest);
  return new Stream(hidden, options, prepare);
}

module.exports = { Event, Stream, makeStream };
