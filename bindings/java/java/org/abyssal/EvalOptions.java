package org.abyssal;

/** What an evaluation computes and keeps. */
public final class EvalOptions {
  long logits = 1;
  boolean hidden;
  boolean hiddenLayers;
  boolean routes;
  boolean mtp;
  long chunk;
  CancellationToken cancellation;

  /** The defaults. */
  public EvalOptions() {}

  /**
   * Of how many of the last tokens logits are computed.
   *
   * @param value more than there are: all
   * @return this
   */
  public EvalOptions logits(long value) {
    logits = Check.notNegative(value, "logits");
    return this;
  }

  /**
   * Keep the hidden state after the final norm of all n tokens.
   *
   * @param value whether to
   * @return this
   */
  public EvalOptions hidden(boolean value) {
    hidden = value;
    return this;
  }

  /**
   * Keep also the embedding and the output of every layer.
   *
   * @param value whether to
   * @return this
   */
  public EvalOptions hiddenLayers(boolean value) {
    hiddenLayers = value;
    return this;
  }

  /**
   * Keep the experts and weights of each MoE layer.
   *
   * @param value whether to
   * @return this
   */
  public EvalOptions routes(boolean value) {
    routes = value;
    return this;
  }

  /**
   * Run the multi-token-prediction layer too; every evaluation of the sequence must then ask for it.
   *
   * @param value whether to
   * @return this
   */
  public EvalOptions mtp(boolean value) {
    mtp = value;
    return this;
  }

  /**
   * Tokens of one pass.
   *
   * @param value 0: 1024, or 512 where 1024 would need over 288 MiB of scratch
   * @return this
   */
  public EvalOptions chunk(long value) {
    chunk = Check.unsigned32(value, "chunk");
    return this;
  }

  /**
   * Cancels the evaluation.
   *
   * @param value a token, or null
   * @return this
   */
  public EvalOptions cancellation(CancellationToken value) {
    cancellation = value;
    return this;
  }

  RawEvalOptions raw() {
    RawEvalOptions raw = new RawEvalOptions();
    raw.setKeep((hidden ? 1 : 0) | (hiddenLayers ? 2 : 0) | (routes ? 4 : 0));
    raw.setLogits(logits);
    raw.setMtp(mtp ? 1 : 0);
    raw.setChunk(chunk);
    return raw;
  }
}
