import type * as fields from './structs';

export type {
  AttentionKind,
  BackendInfo,
  DeviceInfo,
  DeviceOptions,
  Dtype,
  EventKind,
  ModelInfo,
  ModelPlan,
  OutputKind,
  ProfilePart,
  Scoring,
  Stage,
  TextKind,
  TopkMethod,
  WeightsKind,
} from './structs';

// Of the platform, what is needed of it: neither @types/node nor the library "dom" must be there.

/** An AbortSignal. */
export interface Signal {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** A URL with the scheme file. */
export interface FileUrl {
  readonly href: string;
  readonly protocol: string;
}

export type TypedArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** Version of the library. */
export const version: string;

/** The backends built into the library, best first. */
export function backends(): fields.BackendInfo[];

/**
 * Every error of the library. Its message says what was wrong, where, and what was expected. A call that an AbortSignal
 * ended is rejected with one of code ABY_ERROR_CANCELLED and name AbortError, whose cause is the signal's reason.
 */
export class AbyssalError extends Error {
  constructor(message: string, code?: string, status?: number, options?: { cause?: unknown });
  /** The name of the status, such as "ABY_ERROR_FORMAT". */
  code: string;
  /** The C API's status, a negative number that is pinned forever. */
  status: number;
}

/** Token ids: anything but an Int32Array is copied and checked. */
export type Tokens =
  Int32Array | readonly number[] | Int8Array | Int16Array | Uint8Array | Uint16Array | Uint32Array | BigInt64Array;

/** An array of a result, row-major. */
export interface Result<Data = Float32Array> {
  data: Data;
  shape: number[];
}

/**
 * A tensor from the caller, row-major. dtype says what data holds where its class does not: 'f16' and 'bf16' are carried
 * by a Uint16Array, the fp8 types and the block formats of GGUF by a Uint8Array.
 */
export interface TensorInput {
  data: TypedArray;
  shape: readonly number[];
  dtype?: fields.Dtype;
}

/** Tensors by the names of the published checkpoints. */
export type Tensors = ReadonlyMap<string, TensorInput> | { readonly [name: string]: TensorInput };

/** A device of a backend, with its worker threads. Calls on one device are served one after the other. */
export class Device {
  constructor(options?: fields.DeviceOptions);
  get info(): fields.DeviceInfo;
  get closed(): boolean;
  /** Lets go of the device. Models that run on it keep it. */
  close(): void;
}

export interface PlanOptions extends Omit<fields.ModelOptions, 'tokenizer' | 'packedCache'> {
  /** Where to run; else a device is opened from backend and threads. */
  device?: Device;
  /** Folder with tokenizer.json and tokenizer_config.json; else the checkpoint's own. */
  tokenizer?: string | FileUrl;
  /**
   * Folder for files that hold weights as the backend arranges them, so that the next opening maps them instead of making
   * them again; '' for beside the checkpoint. A file of other sources, options or another library is made anew.
   */
  packedCache?: string | FileUrl;
  signal?: Signal;
}

/** done of total bytes in a stage. An error that it throws ends the call, and rejects it; so does the signal. */
export type OnProgress = (stage: fields.Stage, done: number, total: number) => void;

export interface OpenOptions extends PlanOptions {
  onProgress?: OnProgress;
  /**
   * Hears of what is no error of the opening: a packed cache that cannot be read or written. Else process.emitWarning
   * does, with the type 'AbyssalWarning'. An error that it throws ends the opening, and rejects it.
   */
  onWarning?: (text: string) => void;
}

export interface QuantizeOptions {
  /** What matrices are rounded to; default 'int8'. */
  weights?: Exclude<fields.WeightsKind, 'stored'>;
  /** Worker threads; default 0: one per core. */
  threads?: number;
  signal?: Signal;
  onProgress?: OnProgress;
}

export interface Message {
  role: string;
  /** null is as "" where the template has no place for it. */
  content?: unknown;
  [key: string]: unknown;
}

export interface RenderOptions {
  /**
   * Tools as chat APIs describe them, or their JSON text. A template that has no place for them refuses them with
   * ABY_ERROR_UNSUPPORTED; see ModelInfo.tools.
   */
  tools?: readonly object[] | string;
  /** Tools that the template has no place for are left out. */
  allowDroppedTools?: boolean;
  /** Used instead of the checkpoint's own. */
  chatTemplate?: string;
  /** Further variables of the template, such as {thinking: true}. */
  variables?: object;
  /** End with the marker that opens the assistant's turn; default true. */
  addGenerationPrompt?: boolean;
}

/** A flag for each id of the vocabulary, vocabSize of them: whether it may be drawn. */
export type Mask = Uint8Array | readonly boolean[];

/** What binds the content of a reply: one of them. */
export interface ConstraintSource {
  /**
   * The content is a JSON value of this schema, given as an object or as JSON text. The reply ends when nothing can follow, with finishReason "stop" unless maxTokens comes first. Reasoning
   * that the prompt opened is free of it, in chat() and with plain: false.
   */
  jsonSchema?: object | boolean | string;
  /** The content as a whole matches this expression, in the syntax of Rust's crate regex, without anchors. */
  regex?: string;
  /** The content is a text of this Lark grammar. */
  grammar?: string;
}

/**
 * What binds the content of replies, compiled by {@link Model.constraint}: for any number of replies of its model, also
 * at once.
 */
export class Constraint {
  private constructor();
  get closed(): boolean;
  /** Lets go of it. Replies that it binds keep it. */
  close(): void;
}

/**
 * How a reply is drawn. What is not given of temperature, topP, minP and topK is the checkpoint's own, and where that says
 * nothing it is off. Of jsonSchema, regex, grammar and constraint one may be given.
 */
export interface GenerateOptions
  extends ConstraintSource, Pick<fields.ReplyOptions, 'ignoreEos' | 'plain' | 'chunk'> {
  /** Most new tokens; not given: as many as the context has room for. 0: the prompt is evaluated, and nothing is drawn. */
  maxTokens?: number;
  /** 0: always the likeliest token. 1: off. */
  temperature?: number;
  /** Keep the likeliest tokens of this total probability. 1: off. */
  topP?: number;
  /** Keep tokens at least this share as likely as the likeliest. 0: off. */
  minP?: number;
  /** Keep this many tokens. 0: off. */
  topK?: number;
  /** The same seed gives the same reply. Not given: another one each time, which {@link Stream.seed} and Reply.seed tell. */
  seed?: number | bigint;
  /** Tell each token's log-probability: of the model's own distribution, before temperature, filters, mask, constraint. */
  logprobs?: boolean;
  /** What was compiled by {@link Model.constraint} of the same model. What is given as a source is compiled each time. */
  constraint?: Constraint;
  /** Which tokens may be drawn, as in {@link Stream.setMask}, for the first one and those after it. */
  mask?: Mask;
  /**
   * Default true: the reply is written some events ahead of its reader, so that a token does not wait for the event
   * loop. false: each step begins when it is asked for, which {@link Stream.setMask} needs. A reply onto a sequence of
   * the caller's is never written ahead.
   */
  writeAhead?: boolean;
  /** Further tokens that end the reply. */
  stopTokens?: Tokens;
  /** Ends the stream: next() is rejected, after an event that was just being made. The sequence holds what was read. */
  signal?: Signal;
}

export interface ChatOptions
  extends Omit<GenerateOptions, 'plain'>, Omit<RenderOptions, 'addGenerationPrompt'> {
  /**
   * A sequence of this model to write onto: what it shares with the prompt from the start is not computed again, the rest
   * is forgotten. Keep one for a conversation.
   */
  sequence?: Sequence;
}

/**
 * A checkpoint, its weights prepared on a device, and the cache that its sequences share. No call blocks the event loop:
 * work runs on threads of the library, and many requests may run at once.
 */
export class Model {
  private constructor();
  /** Opens a checkpoint: a folder as published, or a GGUF file. */
  static open(path: string | FileUrl, options?: OpenOptions): Promise<Model>;
  /** Opens a model from arrays in memory, which are copied. config is what config.json holds, or its text. */
  static fromTensors(config: object | string, tensors: Tensors, options?: OpenOptions): Promise<Model>;
  /** Memory that opening a checkpoint would need. Reads config and tensor headers only. */
  static plan(path: string | FileUrl, options?: PlanOptions): Promise<fields.ModelPlan>;
  /**
   * Writes the checkpoint in the folder path anew, into the folder out, which is made and must not hold a config.json yet:
   * matrices rounded, other tensors, config and tokenizer as they are. Opened with the same weights option, the result
   * gives what path does, bit for bit; other programs do not know its element types, q8_0 and q4_0. A GGUF model is refused
   * with ABY_ERROR_UNSUPPORTED. Nothing that opens is left behind by a call that is rejected while it writes.
   */
  static quantize(path: string | FileUrl, out: string | FileUrl, options?: QuantizeOptions): Promise<void>;
  /** Replaces weights by the tensors given; others stay. Every sequence of this model is empty afterwards. */
  update(tensors: Tensors): Promise<void>;
  get info(): fields.ModelInfo;
  /** The device that the model runs on. */
  get device(): Device;
  /** The tokens that end a reply. */
  get eosTokens(): Int32Array;
  /**
   * Starts measuring the evaluations that begin from now on, from nothing, or stops (false) once those before it have
   * ended. Results stay the same bits.
   */
  profile(on?: boolean): Promise<void>;
  /** What was measured while the profile was on, in seconds, operations and bytes: every part, also those without a call. */
  get profileParts(): fields.ProfilePart[];
  /**
   * Token ids of a text, equal to Hugging Face's. addBos: begin with the BOS token if the checkpoint asks for one and the
   * text has none. plain: treat markers of special tokens as ordinary text (for text from strangers).
   */
  tokenize(text: string | Uint8Array, options?: { addBos?: boolean; plain?: boolean }): Promise<Int32Array>;
  /** The exact bytes of tokens. skipSpecial: leave special tokens out. */
  detokenize(tokens: Tokens, options?: { skipSpecial?: boolean }): Promise<Uint8Array>;
  /** The text of tokens; bytes that are no UTF-8 become U+FFFD. */
  decode(tokens: Tokens, options?: { skipSpecial?: boolean }): Promise<string>;
  /** Renders messages, or their JSON text, with the checkpoint's chat template. Tokenize the text without addBos. */
  renderChat(messages: readonly Message[] | string, options?: RenderOptions): Promise<string>;
  /** Compiles what binds the content of replies. The first one of a model takes longer. */
  constraint(source: ConstraintSource): Promise<Constraint>;
  /** An empty sequence. */
  sequence(): Sequence;
  /** Continues a prompt. A text begins with the BOS token if the checkpoint asks for one. */
  generate(prompt: string | Tokens, options?: GenerateOptions): Stream;
  /** Answers messages with the checkpoint's chat template; reasoning and content are told apart. */
  chat(messages: readonly Message[] | string, options?: ChatOptions): Stream;
  get closed(): boolean;
  /** Lets go of the model. Running calls end first; sequences that are open keep its memory. */
  close(): void;
}

export interface EvalOptions extends Omit<fields.EvalOptions, 'keep'> {
  /** Keep the hidden state after the final norm, of all tokens of this call. */
  hidden?: boolean;
  /** Keep the embedding and every layer's output too. */
  hiddenLayers?: boolean;
  /** Keep experts and weights of each MoE layer. */
  routes?: boolean;
  signal?: Signal;
}

/**
 * Tokens and the cache of their evaluation. While a call on it runs, others are refused with ABY_ERROR_BUSY; so are, while
 * a reply is written onto it, those that would change it, until the reply has ended or was closed. After a reply it holds
 * the prompt and all tokens that were read.
 */
export class Sequence {
  private constructor();
  /** Appends tokens and evaluates them. After an error, or an abort, the sequence is as before. */
  eval(tokens: Tokens, options?: EvalOptions): Promise<void>;
  /** A copy of a result of the last evaluation, or of cached rows; shapes are those of the C API. */
  output(kind: 'route_index', layer?: number): Result<Int32Array>;
  output(kind: Exclude<fields.OutputKind, 'route_index'>, layer?: number): Result;
  /** Logits of the last rows asked for, [rows, vocabSize]: a copy. */
  get logits(): Float32Array;
  /** Hidden state after the final norm, [n, hiddenSize] of the last evaluation's n tokens, if kept: a copy. */
  get hidden(): Float32Array;
  /** Number of tokens. */
  get length(): number;
  /** The tokens. The last one of a reply is evaluated with what comes next. */
  get tokens(): Int32Array;
  /** Forgets all tokens from position length on. */
  truncate(length: number): void;
  /** A second sequence with the same tokens; the cache is shared until one of the two writes. */
  fork(): Sequence;
  /** Makes a running evaluation end with ABY_ERROR_CANCELLED. */
  cancel(): void;
  /**
   * Appends prompt tokens and writes a reply onto this sequence. Without any it goes on from what the sequence holds: the
   * last token of a reply, or the logits of its last evaluation.
   */
  generate(tokens?: Tokens, options?: GenerateOptions): Stream;
  get closed(): boolean;
  /** Gives the cache back. A running call, and a reply that is being written onto it, are cancelled. */
  close(): void;
}

/** Evaluates several different sequences of one model in shared passes: sequence i gets tokens[i]. */
export function evalBatch(
  sequences: readonly Sequence[],
  tokens: readonly Tokens[],
  options?: EvalOptions,
): Promise<void>;

/** Tokens that a reply took. */
export interface Usage {
  /** Prompt tokens evaluated; those found in the cache of a sequence that was passed in are not counted. */
  promptTokens: number;
  completionTokens: number;
  reasoningTokens: number;
}

/**
 * Why a reply ended: "stop" (an end-of-sequence or stop token, or a constraint that has all it can have), "length"
 * (maxTokens), "cancelled", or "context" (the model's context is full).
 */
export type FinishReason = Exclude<fields.FinishReason, 'none'> | 'unknown';

/** A finished reply. */
export interface Reply {
  content: string;
  /** What came between <think> and </think>; "" for generate(), which does not tell them apart. */
  reasoning: string;
  /** Reasoning and content together. */
  text: string;
  /** The new tokens, without the one that ended the reply. */
  tokens: number[];
  /** Of the tokens; empty unless logprobs was asked for. */
  logprobs: number[];
  /** What it was drawn with: a number where it is a safe integer, as every random one is. */
  seed: number | bigint;
  finishReason: FinishReason;
  usage: Usage;
}

/** One step of a reply. */
export class Event {
  private constructor();
  /** "prompt" (a part of the prompt was evaluated), "token" (a token was drawn), or "end". */
  kind: fields.EventKind | 'unknown';
  /** New text: whole characters; may be empty while a character or a marker is incomplete. */
  text: string;
  textKind: fields.TextKind | 'unknown';
  /** The token drawn; for "end" the one that ended the reply; -1 if there is none. */
  token: number;
  /** The token's log-probability; null unless logprobs was asked for. */
  logprob: number | null;
  /** null but for "end". */
  finishReason: FinishReason | null;
  promptDone: number;
  promptTotal: number;
  completionTokens: number;
  reasoningTokens: number;
}

/**
 * A reply while it is written: an async iterator of events, ended by one of kind "end". It begins with the first next().
 * Leaving the loop ends the reply; the sequence holds what was read. An error ends it too, but for ABY_ERROR_CACHE_FULL:
 * other replies have all of the cache just now, and next() tries the step again; close() gives up.
 */
export class Stream implements AsyncIterableIterator<Event> {
  private constructor();
  [Symbol.asyncIterator](): this;
  next(): Promise<IteratorResult<Event, undefined>>;
  return(value?: undefined): Promise<IteratorResult<Event, undefined>>;
  /**
   * Allows some tokens only, from the very next one until the mask is set again; null lifts it. It holds for
   * end-of-sequence tokens too, and comes before topK, topP and minP. Before the first next() it is what the reply begins
   * with. Once the reply has begun, one that is written ahead refuses it with ABY_ERROR_STATE: see writeAhead. Rejected
   * with ABY_ERROR_INVALID_ARGUMENT for another length or a mask that allows nothing; the mask before stays.
   */
  setMask(mask: Mask | null): Promise<void>;
  /** The seed that the reply is drawn with, once it has begun; null before. */
  get seed(): number | bigint | null;
  /** Ends the reply soon, with finishReason "cancelled". Tokens that were drawn already still come. */
  cancel(): void;
  /** As leaving the loop. */
  close(): Promise<void>;
  /** Runs to the end and gathers what is still to come. When it is rejected the stream is closed. */
  reply(): Promise<Reply>;
}

/** Routing, experts and multi-head latent attention on your own arrays, for other engines. */
export namespace ops {
  /** Float32 data. */
  interface Floats {
    data: Float32Array;
    shape: readonly number[];
  }
  interface Integers {
    data: Int32Array;
    shape: readonly number[];
  }

  interface RouteOptions extends Omit<fields.MoeRouteArgs, 'tokens' | 'experts' | 'topK'> {
    topK: number;
    /** [e], e_score_correction_bias. */
    bias?: Float32Array;
    device?: Device;
  }

  /** Chooses topK experts for each row of logits [b, e]: index [b, k] ascending, weight [b, k] in its order. */
  function moeRoute(logits: Floats, options: RouteOptions): Promise<{ index: Result<Int32Array>; weight: Result }>;

  interface ExpertWeights<T> {
    /** [inter, hidden] */
    gate: T;
    /** [inter, hidden] */
    up: T;
    /** [hidden, inter] */
    down: T;
  }

  interface ExpertsInput extends ExpertWeights<readonly TensorInput[]> {
    /** The shared experts. */
    shared?: ExpertWeights<TensorInput>;
    /** Scales of fp8 weights, [ceil(n / blockN), ceil(k / blockK)]. */
    scales?: ExpertWeights<readonly TensorInput[]>;
    sharedScales?: ExpertWeights<TensorInput>;
  }

  interface ExpertsOptions extends Pick<fields.ExpertsDesc, 'compute' | 'blockN' | 'blockK'> {
    device?: Device;
  }

  /** Expert weights prepared on a device. */
  class Experts {
    private constructor();
    static create(weights: ExpertsInput, options?: ExpertsOptions): Promise<Experts>;
    /** Sum over a row's experts of weight * down(silu(gate x) * up x), plus the shared experts. x [b, d], index [b, k]. */
    run(x: Floats, index: Integers, weight: Floats): Promise<Result>;
    get closed(): boolean;
    close(): void;
  }

  interface MlaOptions extends Pick<fields.MlaDesc, 'compute'> {
    heads: number;
    qkNopeHeadDim: number;
    qkRopeHeadDim: number;
    vHeadDim: number;
    device?: Device;
  }

  interface AttendOptions extends Pick<fields.MlaAttendArgs, 'absorbBelow'> {
    /** [s + 1]: the new tokens of sequence i are rows rowBegin[i] to rowBegin[i + 1] - 1 of q. */
    rowBegin: Int32Array;
    /** [s]: cached tokens before the new ones. */
    context: Int32Array;
    /** [s, n]: each sequence's blocks of 64 tokens, in order. */
    blockTable: Integers;
    /** Of the scores, e.g. (nope + rope) ** -0.5. */
    scale: number;
  }

  /** kv_b_proj of an MLA layer prepared on a device, in both its forms. */
  class Mla {
    private constructor();
    /** kvB: [heads * (nope + v), kv_lora_rank]. */
    static create(kvB: TensorInput, options: MlaOptions): Promise<Mla>;
    /**
     * Causal attention of a ragged batch over a paged latent cache. q: [b, heads, nope + rope], RoPE applied. cache:
     * [blocks, 64, kv_lora_rank + rope], float32 or bfloat16: normed c_kv, then k_pe with RoPE.
     */
    attend(q: Floats, cache: TensorInput, options: AttendOptions): Promise<Result>;
    get closed(): boolean;
    close(): void;
  }
}
