package org.abyssal;

/** How a reply is drawn. The defaults are the checkpoint's own sampling, a random seed, and no limit. */
public final class ReplyOptions {
  // All 64 bits are set in both, as in the C API.
  private static final long NO_LIMIT = -1;
  private static final long RANDOM_SEED = -1;

  private long maxTokens = NO_LIMIT;
  private float temperature = -1; // here and below, a negative number is the checkpoint's own
  private float topP = -1;
  private int topK = -1;
  private float minP = -1;
  private long seed = RANDOM_SEED;
  private boolean ignoreEos;
  private int[] stopTokens = new int[0];
  boolean[] mask = new boolean[0];
  private ConstraintKind sourceKind;
  private String source; // of a constraint, to be compiled with the reply; or null
  private Constraint constraint; // or null
  boolean logprobs;
  private Boolean plain;
  private long chunk;
  CancellationToken cancellation;

  /** The defaults. */
  public ReplyOptions() {}

  /**
   * Most new tokens.
   *
   * @param value 0: the prompt is evaluated, and nothing is drawn; not calling this: as many as the context holds
   * @return this
   */
  public ReplyOptions maxTokens(long value) {
    maxTokens = Check.notNegative(value, "maxTokens");
    return this;
  }

  /**
   * Randomness; not calling this: the checkpoint's own, or 1 if it says nothing.
   *
   * @param value 0: greedy, ties to the lower id. 1: off
   * @return this
   */
  public ReplyOptions temperature(float value) {
    temperature = Check.notNegative(value, "temperature");
    return this;
  }

  /**
   * Keep the likeliest tokens of this total probability; not calling this: the checkpoint's own, or off.
   *
   * @param value 0 to 1. 1: off
   * @return this
   */
  public ReplyOptions topP(float value) {
    topP = Check.notNegative(value, "topP");
    return this;
  }

  /**
   * Keep this many tokens; not calling this: the checkpoint's own, or off.
   *
   * @param value 0: off
   * @return this
   */
  public ReplyOptions topK(int value) {
    topK = (int) Check.notNegative(value, "topK");
    return this;
  }

  /**
   * Keep tokens at least this share as likely as the likeliest; not calling this: the checkpoint's own, or off.
   *
   * @param value 0 to 1. 0: off
   * @return this
   */
  public ReplyOptions minP(float value) {
    minP = Check.notNegative(value, "minP");
    return this;
  }

  /**
   * The same seed gives the same reply; not calling this: another one each time. {@link Reply#seed()} and
   * {@link ReplyStream#seed()} tell it.
   *
   * @param value any 64 bits but those of -1
   * @return this
   */
  public ReplyOptions seed(long value) {
    if (value == RANDOM_SEED) {
      throw Check.invalid("seed is -1; expected another number, or that seed is not called, for a random one");
    }
    seed = value;
    return this;
  }

  /**
   * End-of-sequence tokens do not end the reply.
   *
   * @param value whether to ignore them
   * @return this
   */
  public ReplyOptions ignoreEos(boolean value) {
    ignoreEos = value;
    return this;
  }

  /**
   * Further tokens that end the reply.
   *
   * @param value ids
   * @return this
   */
  public ReplyOptions stopTokens(int... value) {
    stopTokens = value.clone();
    return this;
  }

  /**
   * Which tokens may be drawn, for the first one and those after it; see {@link ReplyStream#setMask}.
   *
   * @param allowed a flag for each id of the vocabulary, or null for all
   * @return this
   */
  public ReplyOptions mask(boolean[] allowed) {
    mask = Check.mask(allowed);
    return this;
  }

  /**
   * Binds the content. The reply ends when nothing can follow, with the reason STOP unless maxTokens comes first;
   * reasoning that the prompt opened is free of it. Of constraint, jsonSchema, regex and grammar the last one called
   * counts.
   *
   * @param value a constraint of the same model, or null for none
   * @return this
   */
  public ReplyOptions constraint(Constraint value) {
    constraint = value;
    source = null;
    return this;
  }

  /**
   * Binds the content: it is a JSON value of this schema. As {@link #constraint}, compiled for each reply.
   *
   * @param schema a JSON schema, or null for no constraint
   * @return this
   */
  public ReplyOptions jsonSchema(String schema) {
    return constraint(ConstraintKind.JSON_SCHEMA, schema);
  }

  /**
   * Binds the content: as a whole it matches this expression, in the syntax of Rust's crate regex without anchors. As
   * {@link #constraint}, compiled for each reply.
   *
   * @param expression a regular expression, or null for no constraint
   * @return this
   */
  public ReplyOptions regex(String expression) {
    return constraint(ConstraintKind.REGEX, expression);
  }

  /**
   * Binds the content: it is a text of this Lark grammar. As {@link #constraint}, compiled for each reply.
   *
   * @param lark a grammar, or null for no constraint
   * @return this
   */
  public ReplyOptions grammar(String lark) {
    return constraint(ConstraintKind.GRAMMAR, lark);
  }

  private ReplyOptions constraint(ConstraintKind kind, String text) {
    constraint = null;
    sourceKind = kind;
    source = text;
    return this;
  }

  /**
   * Tell the log-probability of each token: of the model's own distribution, before temperature, filters, mask and
   * constraint.
   *
   * @param value whether to
   * @return this
   */
  public ReplyOptions logprobs(boolean value) {
    logprobs = value;
    return this;
  }

  /**
   * Do not tell reasoning from content: all text is content, markers included.
   *
   * @param value true or false; null: true for generate, false for chat
   * @return this
   */
  public ReplyOptions plain(Boolean value) {
    plain = value;
    return this;
  }

  /**
   * Prompt tokens of one step.
   *
   * @param value 0: as {@link EvalOptions#chunk}
   * @return this
   */
  public ReplyOptions chunk(long value) {
    chunk = Check.unsigned32(value, "chunk");
    return this;
  }

  /**
   * Ends the reply early, with the reason CANCELLED.
   *
   * @param value a token, or null
   * @return this
   */
  public ReplyOptions cancellation(CancellationToken value) {
    cancellation = value;
    return this;
  }

  private RawReplyOptions raw(boolean plainByDefault) {
    RawReplyOptions raw = new RawReplyOptions();
    raw.setMaxTokens(maxTokens);
    raw.setTemperature(temperature);
    raw.setTopP(topP);
    raw.setTopK(topK);
    raw.setMinP(minP);
    raw.setSeed(seed);
    raw.setIgnoreEos(ignoreEos ? 1 : 0);
    raw.setPlain(plain != null ? plain ? 1 : 0 : plainByDefault ? 1 : 0);
    raw.setChunk(chunk);
    raw.setLogprobs(logprobs ? 1 : 0);
    return raw;
  }

  /** The native half of a reply; what binds its content is compiled here, unless that was done before. */
  Generation begin(Sequence on, int[] prompt, boolean plainByDefault) {
    try (RawReplyOptions raw = raw(plainByDefault);
        Constraint compiled = source == null ? null : on.compile(sourceKind, source)) {
      return new Generation(on, prompt, raw, stopTokens, mask, compiled != null ? compiled : constraint);
    }
  }
}
