package org.abyssal;

/** Score of the router. */
public enum Scoring {
  /** As V2 does. */
  SOFTMAX(0),
  /** As V3 does. */
  SIGMOID(1);

  private final int number;

  Scoring(int number) {
    this.number = number;
  }

  int number() {
    return number;
  }
}
