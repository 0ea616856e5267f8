package org.abyssal;

/** Why a reply ended. */
public enum FinishReason {
  /** It has not. */
  NONE(0),
  /** End-of-sequence or a stop token. */
  STOP(1),
  /** The limit of tokens, or the context is full. */
  LENGTH(2),
  /** Cancelled: by a call, a token, or an interrupt. */
  CANCELLED(3),
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
