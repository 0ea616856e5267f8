package org.abyssal;

/** Results of an evaluation of n tokens, and cached rows of all tokens of a sequence. */
public enum Output {
  /** float [rows, vocab_size] of the last rows asked for; the layer is ignored. */
  LOGITS(0),
  /**
   * float [n, hidden_size]: layer -1 after the final norm; 0 the embedding; L the output of layer L, 1 to layers -
   * 1.
   */
  HIDDEN(1),
  /** int [n, top_k]: experts of a layer with experts, ascending. */
  ROUTE_INDEX(2),
  /** float [n, top_k] in the order of the experts. */
  ROUTE_WEIGHT(3),
  /** float [length, kv_lora_rank]: cached latent rows of a layer. */
  CACHE_C_KV(4),
  /** float [length, rope_dim] after RoPE, interleaved order. */
  CACHE_K_ROPE(5),
  /** float [length, kv_heads, head_dim] after RoPE (grouped-query attention). */
  CACHE_K(6),
  /** float [length, kv_heads, head_dim]. */
  CACHE_V(7),
  /** float [rows, vocab_size]: row r predicts the token after the next one. */
  MTP_LOGITS(8),
  /** float [pairs, hidden_size] of the MTP layer, before its head's norm. */
  MTP_HIDDEN(9);

  private final int number;

  Output(int number) {
    this.number = number;
  }

  int number() {
    return number;
  }
}
