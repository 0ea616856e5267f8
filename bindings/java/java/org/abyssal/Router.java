package org.abyssal;

/** Routing alone, on arrays of the caller's: chooses experts for rows of gate logits. The settings are a model's. */
public final class Router {
  private int topK = 1;
  private int groups = 1;
  private int topkGroup = 1;
  private Scoring scoring = Scoring.SOFTMAX;
  private TopkMethod method = TopkMethod.GREEDY;
  private boolean normTopkProb;
  private float routedScalingFactor = 1;
  private float[] bias = new float[0];

  /**
   * Experts chosen for each of b rows.
   *
   * @param index [b * k], ascending in each row
   * @param weight [b * k], in the order of index
   */
  public record Routes(int[] index, float[] weight) {}

  /** Softmax, greedy, the best one. */
  public Router() {}

  /**
   * How many experts a row gets: num_experts_per_tok.
   *
   * @param value k, 1 to the number of experts
   * @return this
   */
  public Router topK(int value) {
    topK = value;
    return this;
  }

  /**
   * Groups of experts, and how many of them are kept.
   *
   * @param nGroup n_group, which divides the number of experts
   * @param kept topk_group
   * @return this
   */
  public Router groups(int nGroup, int kept) {
    groups = nGroup;
    topkGroup = kept;
    return this;
  }

  /**
   * How scores are made from logits.
   *
   * @param value scoring_func
   * @return this
   */
  public Router scoring(Scoring value) {
    scoring = value;
    return this;
  }

  /**
   * How experts are chosen by their scores.
   *
   * @param value topk_method
   * @return this
   */
  public Router method(TopkMethod value) {
    method = value;
    return this;
  }

  /**
   * Whether the weights are divided by their sum + 1e-20.
   *
   * @param value norm_topk_prob
   * @return this
   */
  public Router normTopkProb(boolean value) {
    normTopkProb = value;
    return this;
  }

  /**
   * What the weights are multiplied by.
   *
   * @param value routed_scaling_factor
   * @return this
   */
  public Router routedScalingFactor(float value) {
    routedScalingFactor = value;
    return this;
  }

  /**
   * Added to the scores for the choice, not for the weights.
   *
   * @param value [e] e_score_correction_bias
   * @return this
   */
  public Router bias(float... value) {
    bias = value.clone();
    return this;
  }

  /**
   * Chooses topK experts for each row. Ties go to the lower index.
   *
   * @param device where
   * @param logits [b * e], of the gate
   * @param experts e
   * @return experts and weights
   * @throws AbyssalException INVALID_ARGUMENT, DEVICE
   */
  public Routes route(Device device, float[] logits, int experts) {
    if (experts < 1) {
      throw Check.invalid("experts is " + experts + "; expected 1 or more");
    }
    int rows = logits.length / experts;
    Check.elements(logits.length, "logits", (long) rows * experts, "whole rows of " + experts);
    if (bias.length != 0) {
      Check.elements(bias.length, "bias", experts, "[e]");
    }
    int width = Math.max(0, Math.min(topK, experts)); // another topK is refused before it is written to
    int chosen = Math.multiplyExact(rows, width);
    Routes routes = new Routes(new int[chosen], new float[chosen]);
    try (RawRouteArgs raw = new RawRouteArgs()) {
      raw.setTokens(rows);
      raw.setExperts(experts);
      raw.setTopK(topK);
      raw.setNGroup(groups);
      raw.setTopkGroup(topkGroup);
      raw.setScoring(scoring.number());
      raw.setTopkMethod(method.number());
      raw.setNormTopkProb(normTopkProb ? 1 : 0);
      raw.setRoutedScalingFactor(routedScalingFactor);
      NativeFunctions.route(device, raw, logits, bias, routes.index(), routes.weight());
    }
    return routes;
  }
}
