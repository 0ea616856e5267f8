package org.abyssal;

/** How weights are held. */
public enum Weights {
  /** As the checkpoint stores them. */
  STORED(0),
  /** Rounded to 8 bits when they are loaded: groups of 32 inputs share a float16 scale. */
  INT8(1),
  /** The same in 4 bits, but for attention and the first layer, which have 8. */
  INT4(2);

  private final int number;

  Weights(int number) {
    this.number = number;
  }

  int number() {
    return number;
  }
}
