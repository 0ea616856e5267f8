// The scenario through the Node.js package. Usage: node scenario_node.mjs STEPS     Prints the transcript.
import fs from 'node:fs';
import { AbyssalError, Device, Model, backends, evalBatch, ops, version } from 'abyssal';

const models = new Map();
const sequences = new Map();
const devices = new Map();
const layers = new Map();
const tensors = new Map();

const bitsOf = (floats) => new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
const hex = (word) => word.toString(16).padStart(8, '0');
const words = (text, read) => text.split(' ').filter(Boolean).map(read);

function floatsOf(text) {
  const bits = Uint32Array.from(words(text, (word) => parseInt(word, 16)));
  return new Float32Array(bits.buffer);
}

function quoted(text) {
  const control = (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
  // eslint-disable-next-line no-control-regex
  return `"${text.replace(/["\\]/g, '\\$&').replace(/[\0-\x1f]/g, control)}"`;
}

// Fields of a line of steps, by what they hold.
class Step {
  constructor(line) {
    [this.number, this.kind, ...this.fields] = line.split('\t');
    this.fields = new Map(this.fields.map((field) => [field.split('=', 1)[0], field.slice(field.indexOf('=') + 1)]));
  }

  has = (name) => this.fields.has(name);
  text = (name) => (this.has(name) ? JSON.parse(this.fields.get(name)) : undefined);
  integer = (name, otherwise = 0) => Number(this.fields.get(name) ?? otherwise);
  flag = (name, otherwise = 0) => this.integer(name, otherwise) !== 0;
  integers = (name) => words(this.fields.get(name) ?? '', Number);
  lists = (name) => this.fields.get(name).split(';').map((list) => words(list, Number));
  float = (name) => (this.has(name) ? floatsOf(this.fields.get(name))[0] : undefined);
  floats = (name) => floatsOf(this.fields.get(name) ?? '');

  // As a matrix whose first size follows from the others.
  matrix(name, ...rest) {
    const data = this.floats(name);
    return { data, shape: [data.length / rest.reduce((all, size) => all * size, 1), ...rest] };
  }

  say(...parts) {
    fs.writeSync(1, `${[this.number, ...parts].join(' ')}\n`);
  }

  sayError(error) {
    this.say('error', error.code, error.status, quoted(error.message));
  }

  sayArray({ data, shape }) {
    this.say('shape', data instanceof Int32Array ? 'i32' : 'f32', ...shape);
    if (data instanceof Int32Array) {
      this.say('integers', ...data);
      return;
    }
    const bits = bitsOf(data);
    let hashed = 2166136261;
    for (const word of bits) hashed = Math.imul(hashed ^ word, 16777619) >>> 0;
    const last = data.subarray(data.length - shape.slice(1).reduce((all, size) => all * size, 1));
    let largest = 0;
    for (let i = 1; i < last.length; i += 1) if (last[i] > last[largest]) largest = i;
    if (data.length > 0) this.say('largest', largest);
    this.say('local bits', hex(hashed), ...Array.from(bits.subarray(0, 4), hex));
  }
}

const modelOf = (step) => models.get(step.integer('model'));
const sequenceOf = (step) => sequences.get(step.integer('sequence'));
const deviceOf = (step) => devices.get(step.integer('device'));

const modelOptions = (step) => ({
  device: step.has('device') ? deviceOf(step) : undefined,
  backend: step.text('backend'),
  threads: step.integer('threads', 1),
  activations: step.text('activations'),
  cacheDtype: step.text('cache_dtype'),
  cacheTokens: step.integer('cache_tokens'),
  absorbBelow: step.integer('absorb_below'),
  mtp: step.flag('mtp'),
});

const evalOptions = (step) => ({
  logits: step.integer('logits', 1),
  hidden: step.flag('hidden'),
  hiddenLayers: step.flag('hidden_layers'),
  routes: step.flag('routes'),
  mtp: step.flag('mtp'),
  chunk: step.integer('chunk'),
});

const replyOptions = (step) => ({
  maxTokens: step.has('max_tokens') ? step.integer('max_tokens') : undefined,
  temperature: step.float('temperature'),
  topP: step.float('top_p'),
  topK: step.has('top_k') ? step.integer('top_k') : undefined,
  minP: step.float('min_p'),
  seed: step.integer('seed'),
  ignoreEos: step.flag('ignore_eos'),
  logprobs: step.flag('logprobs'),
  stopTokens: step.integers('stop_tokens'),
  chunk: step.integer('chunk'),
  jsonSchema: step.text('json_schema'),
  regex: step.text('regex'),
  grammar: step.text('grammar'),
  mask: step.has('mask') && !step.has('mask_after') ? maskOf(step) : undefined,
});

// A flag for each of mask_size ids: whether it is listed.
function maskOf(step) {
  const flags = new Uint8Array(step.integer('mask_size'));
  for (const id of step.integers('mask')) flags[id] = 1;
  return flags;
}

// What has been gathered by steps of the kind tensor.
function takeTensors() {
  const given = new Map(tensors);
  tensors.clear();
  return given;
}

async function openWith(step, make) {
  let seen;
  const options = { tokenizer: step.text('tokenizer'), ...modelOptions(step) };
  const controller = new AbortController(); // a result of onProgress cancels nothing
  const onProgress = (stage, done, total) => {
    seen = [stage, Number(done === total)];
    if (step.text('progress') === 'cancel') controller.abort();
  };
  const watched = { ...options, onProgress, signal: controller.signal };
  models.set(step.integer('model'), await make(step.has('progress') ? watched : options));
  step.say('opened', ...(seen ? ['progress', ...seen] : []));
}

const KINDS = {
  version: (step) => step.say('version', version),

  backends(step) {
    for (const { name, deviceCount } of backends()) step.say('backend', name, deviceCount);
  },

  device(step) {
    const made = new Device({
      backend: step.text('backend'),
      threads: step.integer('threads', 1),
      index: step.integer('index'),
    });
    devices.set(step.integer('device'), made);
    const { backend, threads, name, isa, memoryBytes } = made.info;
    step.say('device', backend, threads);
    step.say('local device', quoted(name), quoted(isa), memoryBytes);
  },

  async plan(step) {
    const p = await Model.plan(step.text('path'), modelOptions(step));
    step.say('plan', p.layers, p.parameters, p.activeParameters, p.fileBytes);
    step.say('cache', p.cacheBytesPerToken, p.cacheTokens, p.cacheBytes);
    step.say('local memory', p.weightBytes, p.mappedBytes, p.scratchBytes, p.totalBytes);
  },

  open: (step) => openWith(step, (options) => Model.open(step.text('path'), options)),

  tensor: (step) =>
    void tensors.set(step.text('name'), { data: step.floats('data'), shape: step.integers('shape'), dtype: 'f32' }),

  open_tensors(step) {
    const given = takeTensors();
    return openWith(step, (options) => Model.fromTensors(step.text('config'), given, options));
  },

  async update(step) {
    await modelOf(step).update(takeTensors());
    step.say('updated');
  },

  info(step) {
    const i = modelOf(step).info;
    step.say('model', i.architecture, i.attention, quoted(i.weightTypes), i.layers, i.hiddenSize, i.vocabSize);
    step.say('heads', i.heads, i.kvHeads, i.kvLoraRank, i.ropeDim);
    step.say('experts', i.experts, i.topK, i.contextLength, i.mtpLayers);
    step.say('text', i.bosToken, ...[i.hasTokenizer, i.hasChatTemplate, i.reasons, i.tools].map(Number));
    step.say('types', i.activations, i.cacheDtype);
    step.say('sizes', i.parameters, i.activeParameters, i.fileBytes, i.cacheBytesPerToken, i.cacheTokens);
    step.say('local memory', i.weightBytes, i.mappedBytes);
    step.say('eos', ...modelOf(step).eosTokens);
    step.say('on', modelOf(step).device.info.backend);
  },

  async tokenize(step) {
    const options = { addBos: step.flag('add_bos'), plain: step.flag('plain') };
    step.say('tokens', ...(await modelOf(step).tokenize(step.text('text'), options)));
  },

  async detokenize(step) {
    const options = { skipSpecial: step.flag('skip_special') };
    const bytes = await modelOf(step).detokenize(step.integers('tokens'), options);
    step.say('bytes', Buffer.from(bytes).toString('hex'));
  },

  async render_chat(step) {
    const text = await modelOf(step).renderChat(step.text('messages'), {
      tools: step.text('tools'),
      allowDroppedTools: step.flag('allow_dropped_tools'),
      chatTemplate: step.text('chat_template'),
      variables: step.has('flag') ? { [step.text('flag')]: true } : undefined,
      addGenerationPrompt: step.flag('add_generation_prompt', 1),
    });
    step.say('text', quoted(text));
  },

  sequence: (step) => void sequences.set(step.integer('sequence'), modelOf(step).sequence()),

  async eval(step) {
    await sequenceOf(step).eval(step.integers('tokens'), evalOptions(step));
    step.say('length', sequenceOf(step).length);
  },

  async eval_batch(step) {
    const batch = step.integers('sequences').map((i) => sequences.get(i));
    await evalBatch(batch, step.lists('tokens'), evalOptions(step));
    step.say('lengths', ...batch.map((one) => one.length));
  },

  // Evaluates a token over and over: forks, which is refused, then cancels it.
  async interrupt(step) {
    const on = sequenceOf(step);
    const promise = on.eval(new Int32Array(step.integer('count')).fill(step.integer('token')));
    try {
      on.fork();
    } catch (error) {
      step.sayError(error);
    }
    on.cancel();
    await promise.catch((error) => step.sayError(error));
    step.say('length', on.length);
  },

  output: (step) => step.sayArray(sequenceOf(step).output(step.text('output'), step.integer('layer', -1))),

  tokens(step) {
    step.say('length', sequenceOf(step).length);
    step.say('tokens', ...sequenceOf(step).tokens);
  },

  truncate(step) {
    sequenceOf(step).truncate(step.integer('length'));
    step.say('length', sequenceOf(step).length);
  },

  fork: (step) => void sequences.set(step.integer('into'), sequenceOf(step).fork()),

  async generate(step) {
    const options = { ...replyOptions(step), plain: step.flag('plain', 1) };
    const stream = sequenceOf(step).generate(step.integers('tokens'), options);
    if (step.flag('cancel')) stream.cancel();
    let left = step.integer('leave');
    let seen = 0;
    try {
      for await (const event of stream) {
        step.say('event', event.kind, event.token, event.textKind, quoted(event.text));
        if (event.logprob !== null) step.say('local logprob', event.logprob.toFixed(4));
        if (event.kind === 'prompt') step.say('prompt', event.promptDone, event.promptTotal);
        if (event.kind === 'end') step.say('end', event.finishReason, event.completionTokens, event.reasoningTokens);
        seen += 1;
        if (seen === step.integer('mask_after')) await stream.setMask(maskOf(step));
        if (seen === step.integer('lift_after')) await stream.setMask(null);
        left -= 1;
        if (left === 0) break;
      }
    } finally {
      await stream.close(); // also after an error that leaves it to be tried again
    }
    step.say('length', sequenceOf(step).length);
  },

  async chat(step) {
    const reply = await modelOf(step).chat(step.text('messages'), replyOptions(step)).reply();
    const { promptTokens, completionTokens, reasoningTokens } = reply.usage;
    step.say('reasoning', quoted(reply.reasoning));
    step.say('content', quoted(reply.content));
    step.say('tokens', ...reply.tokens);
    step.say('end', reply.finishReason, promptTokens, completionTokens, reasoningTokens);
  },

  async route(step) {
    const { index, weight } = await ops.moeRoute(step.matrix('logits', step.integer('experts')), {
      topK: step.integer('top_k'),
      nGroup: step.integer('n_group', 1),
      topkGroup: step.integer('topk_group', 1),
      scoring: step.text('scoring'),
      topkMethod: step.text('topk_method'),
      normTopkProb: step.flag('norm_topk_prob'),
      routedScalingFactor: step.float('routed_scaling_factor'),
      bias: step.has('bias') ? step.floats('bias') : undefined,
      device: deviceOf(step),
    });
    step.sayArray(index);
    step.sayArray(weight);
  },

  async experts(step) {
    const [hidden, inter, shared] = ['hidden', 'inter', 'shared_inter'].map((name) => step.integer(name));
    const each = (name, ...shape) => {
      const size = shape[0] * shape[1];
      const all = step.floats(name);
      const matrix = (_, i) => ({ data: all.subarray(i * size, (i + 1) * size), shape });
      return Array.from({ length: all.length / size }, matrix);
    };
    const weights = {
      gate: each('gate', inter, hidden),
      up: each('up', inter, hidden),
      down: each('down', hidden, inter),
      shared: {
        gate: each('shared_gate', shared, hidden)[0],
        up: each('shared_up', shared, hidden)[0],
        down: each('shared_down', hidden, shared)[0],
      },
    };
    layers.set('experts', await ops.Experts.create(weights, { device: deviceOf(step) }));
  },

  async run_experts(step) {
    const topK = step.integer('top_k');
    const data = Int32Array.from(step.integers('index'));
    const index = { data, shape: [data.length / topK, topK] };
    const x = step.matrix('x', step.floats('x').length / index.shape[0]);
    step.sayArray(await layers.get('experts').run(x, index, step.matrix('weight', topK)));
  },

  async mla(step) {
    const [heads, qkNopeHeadDim, qkRopeHeadDim, vHeadDim] = ['heads', 'nope', 'rope', 'v'].map((n) => step.integer(n));
    const options = { heads, qkNopeHeadDim, qkRopeHeadDim, vHeadDim, device: deviceOf(step) };
    layers.set('mla', await ops.Mla.create(step.matrix('kv_b', step.integer('kv_lora')), options));
  },

  async attend(step) {
    const lists = ['row_begin', 'context', 'block_table'].map((name) => Int32Array.from(step.integers(name)));
    const [rowBegin, context, table] = lists;
    const [blocks, heads] = [step.integer('blocks'), step.integer('heads')];
    const q = step.matrix('q', heads, step.floats('q').length / rowBegin.at(-1) / heads);
    const cache = step.matrix('cache', 64, step.floats('cache').length / blocks / 64);
    const out = await layers.get('mla').attend(q, cache, {
      rowBegin,
      context,
      blockTable: { data: table, shape: [context.length, table.length / context.length] },
      scale: step.float('scale'),
      absorbBelow: step.integer('absorb_below'),
    });
    step.sayArray(out);
  },

  close(step) {
    const closed = { model: models, sequence: sequences, device: devices };
    for (const [name, objects] of Object.entries(closed)) if (step.has(name)) objects.get(step.integer(name)).close();
    if (step.has('layer')) layers.get(step.text('layer')).close();
  },
};

for (const line of fs.readFileSync(process.argv[2], 'ascii').split('\n').filter(Boolean)) {
  const step = new Step(line);
  try {
    await KINDS[step.kind](step);
  } catch (error) {
    if (!(error instanceof AbyssalError)) throw error;
    step.sayError(error);
  }
  step.say('done');
}
