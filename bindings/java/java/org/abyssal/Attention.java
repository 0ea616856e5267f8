package org.abyssal;

/** The form of MLA attention. Both forms give the same but for rounding. */
public enum Attention {
  /**
   * By absorbBelow: what is least work. The form, and with it last bits, then depends on how many tokens of a sequence
   * share a pass.
   */
  AUTO(0),
  /**
   * Absorbed, for any number of tokens. Where every matrix is quantised and activations are not F32, results on "cpu"
   * then have the same bits however tokens are cut into calls and passes, and whichever of them were cached before.
   */
  ABSORBED(1),
  /** Un-absorbed: keys and values are expanded from the cached rows. */
  EXPANDED(2);

  private final int number;

  Attention(int number) {
    this.number = number;
  }

  int number() {
    return number;
  }
}
