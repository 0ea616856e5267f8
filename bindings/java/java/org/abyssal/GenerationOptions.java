package org.abyssal;

/** How a reply is drawn. The defaults are the checkpoint's own sampling, and no limit. */
public final class GenerationOptions {
  long maxTokens;
  float temperature = -1;
  float topP;
  long topK;
  float minP;
  long seed;
  boolean ignoreEos;
  int[] stopTokens = new int[0];
  boolean[] mask = new boolean[0];
  int constraintKind;
  String constraint;
  Boolean plain;
  long chunk;
  CancellationToken cancellation;

  /** The defaults. */
  public GenerationOptions() {}

  /**
   * Most new tokens.
   *
   * @param value at least 1; not calling this: as many as the context holds
   * @return this
   */
  public GenerationOptions maxTokens(long value) {
    maxTokens = Check.positive(value, "maxTokens");
    return this;
  }

  /**
   * Randomness; not calling this: the checkpoint's own (1 if it has none).
   *
   * @param value 0: greedy, ties to the lower id
   * @return this
   */
  public GenerationOptions temperature(float value) {
    temperature = Check.notNegative(value, "temperature");
    return this;
  }

  /**
   * Keep the likeliest tokens of this total probability, 0 to 1.
   *
   * @param value 0: the checkpoint's own
   * @return this
   */
  public GenerationOptions topP(float value) {
    topP = value;
    return this;
  }

  /**
   * Keep this many tokens.
   *
   * @param value 0: the checkpoint's own
   * @return this
   */
  public GenerationOptions topK(long value) {
    topK = Check.unsigned32(value, "topK");
    return this;
  }

  /**
   * Keep tokens at least this share as likely as the likeliest, 0 to 1.
   *
   * @param value 0: off
   * @return this
   */
  public GenerationOptions minP(float value) {
    minP = value;
    return this;
  }

  /**
   * The same seed gives the same reply.
   *
   * @param value any 64 bits
   * @return this
   */
  public GenerationOptions seed(long value) {
    seed = value;
    return this;
  }

  /**
   * End-of-sequence tokens do not end the reply.
   *
   * @param value whether to ignore them
   * @return this
   */
  public GenerationOptions ignoreEos(boolean value) {
    ignoreEos = value;
    return this;
  }

  /**
   * Further tokens that end the reply.
   *
   * @param value ids
   * @return this
   */
  public GenerationOptions stopTokens(int... value) {
    stopTokens = value.clone();
    return this;
  }

  /**
   * Which tokens may be drawn, for the first one and those after it; see {@link ReplyStream#setMask}.
   *
   * @param allowed a flag for each id of the vocabulary, or null for all
   * @return this
   */
  public GenerationOptions mask(boolean[] allowed) {
    mask = Check.mask(allowed);
    return this;
  }

  /**
   * Binds the content: it is a JSON value of this schema. In the place of regex and grammar. The reply ends when nothing
   * can follow, with the reason STOP unless maxTokens comes first; reasoning that the prompt opened is free of it.
   *
   * @param schema a JSON schema, or null for no constraint
   * @return this
   */
  public GenerationOptions jsonSchema(String schema) {
    return constraint(1, schema, "jsonSchema");
  }

  /**
   * Binds the content: as a whole it matches this expression, in the syntax of Rust's crate regex without anchors. In the
   * place of jsonSchema and grammar.
   *
   * @param expression a regular expression, or null for no constraint
   * @return this
   */
  public GenerationOptions regex(String expression) {
    return constraint(2, expression, "regex");
  }

  /**
   * Binds the content: it is a text of this Lark grammar. In the place of jsonSchema and regex.
   *
   * @param lark a grammar, or null for no constraint
   * @return this
   */
  public GenerationOptions grammar(String lark) {
    return constraint(3, lark, "grammar");
  }

  private GenerationOptions constraint(int kind, String text, String name) {
    if (text != null && text.indexOf('\0') >= 0) {
      throw Check.invalid(name + " holds a NUL character at position " + text.indexOf('\0'));
    }
    constraintKind = text == null ? 0 : kind;
    constraint = text;
    return this;
  }

  /**
   * Do not tell reasoning from content: all text is content, markers included.
   *
   * @param value true or false; null: true for generate, false for chat
   * @return this
   */
  public GenerationOptions plain(Boolean value) {
    plain = value;
    return this;
  }

  /**
   * Prompt tokens of one step.
   *
   * @param value 0: as {@link EvalOptions#chunk}
   * @return this
   */
  public GenerationOptions chunk(long value) {
    chunk = Check.unsigned32(value, "chunk");
    return this;
  }

  /**
   * Ends the reply early, with the reason CANCELLED.
   *
   * @param value a token, or null
   * @return this
   */
  public GenerationOptions cancellation(CancellationToken value) {
    cancellation = value;
    return this;
  }

  RawGenerationOptions raw(boolean plainByDefault) {
    RawGenerationOptions raw = new RawGenerationOptions();
    raw.setMaxTokens(maxTokens);
    raw.setTemperature(temperature);
    raw.setTopP(topP);
    raw.setTopK(topK);
    raw.setMinP(minP);
    raw.setSeed(seed);
    raw.setIgnoreEos(ignoreEos ? 1 : 0);
    raw.setPlain(plain != null ? plain ? 1 : 0 : plainByDefault ? 1 : 0);
    raw.setChunk(chunk);
    raw.setConstraintKind(constraintKind);
    return raw;
  }
}
