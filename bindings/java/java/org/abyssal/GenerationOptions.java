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
   * @param value 0: 512
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
    return raw;
  }
}
