package org.abyssal;

/** What opening a model is doing. */
public enum Stage {
  /** Reading headers. */
  READ(0),
  /** Preparing weights. */
  WEIGHTS(1),
  /** One that is newer than these classes. */
  UNKNOWN(-1);

  private final int number;

  Stage(int number) {
    this.number = number;
  }

  int number() {
    return number;
  }

  static Stage of(int number) {
    for (Stage value : values()) {
      if (value.number == number) {
        return value;
      }
    }
    return UNKNOWN;
  }
}
