package org.abyssal;

/** Why a reply ended. */
public enum FinishReason {
  /** It has not. */
  NONE(0),
  /** An end-of-sequence or stop token, or a constraint that has all it can have. */
  STOP(1),
  /** The limit of tokens. */
  LENGTH(2),
  /** Cancelled: by a call, a token, or an interrupt. */
  CANCELLED(3),
  /** The model's context, or the whole cache, is full. */
  CONTEXT(4),
  /** One that is newer than these classes. */
  UNKNOWN(-1);

  private final int number;

  FinishReason(int number) {
    this.number = number;
  }

  int number() {
    return number;
  }

  static FinishReason of(int number) {
    for (FinishReason value : values()) {
      if (value.number == number) {
        return value;
      }
    }
    return UNKNOWN;
  }
}
