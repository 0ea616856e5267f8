package org.abyssal;

/** Selection of experts, named as in the checkpoints' topk_method. */
public enum TopkMethod {
  /** The best of all (V2-Lite). */
  GREEDY(0),
  /** A group's score is its best one (V2). */
  GROUP_LIMITED_GREEDY(1),
  /** By score and bias; a group's score is the sum of its two best (V3, Kimi-K2). */
  NOAUX_TC(2);

  private final int number;

  TopkMethod(int number) {
    this.number = number;
  }

  int number() {
    return number;
  }
}
