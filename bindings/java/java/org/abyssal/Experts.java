package org.abyssal;

/** Expert weights prepared on a device. Immutable; any thread may use it. */
public final class Experts extends NativeExperts {
  private final int hidden;

  Experts(Device device, RawExpertWeights weights, RawExpertsDesc desc, int hidden) {
    super(device, weights, desc);
    this.hidden = hidden;
  }

  /**
   * Prepares experts.
   *
   * @param device where
   * @param weights copied
   * @return experts, to be closed by the caller
   * @throws AbyssalException INVALID_ARGUMENT (shapes, named), UNSUPPORTED (type), NO_MEMORY, DEVICE
   */
  public static Experts of(Device device, ExpertWeights weights) {
    return weights.make(device);
  }

  /**
   * Sum over a row's experts of weight * down(silu(gate x) * up x), plus the shared experts.
   *
   * @param x [b * hidden]
   * @param index [b * k], 0 to e - 1, no expert twice in a row
   * @param weight [b * k]
   * @param topK k
   * @return [b * hidden], a new array
   * @throws AbyssalException INVALID_ARGUMENT, DEVICE
   */
  public float[] run(float[] x, int[] index, float[] weight, int topK) {
    int rows = x.length / hidden;
    Check.positive(topK, "topK");
    Check.elements(x.length, "x", (long) rows * hidden, "whole rows of " + hidden);
    Check.elements(index.length, "index", (long) rows * topK, "[b, k]");
    Check.elements(weight.length, "weight", (long) rows * topK, "[b, k]");
    try (RawExpertsArgs raw = new RawExpertsArgs()) {
      raw.setTokens(rows);
      raw.setTopK(topK);
      return runNow(raw, x, index, weight);
    }
  }
}
