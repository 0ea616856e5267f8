package org.abyssal;

/** What a piece of text is part of. */
public enum TextKind {
  /** The answer. */
  CONTENT(0),
  /** What comes between the markers of reasoning. */
  REASONING(1),
  /** One that is newer than these classes. */
  UNKNOWN(-1);

  private final int number;

  TextKind(int number) {
    this.number = number;
  }

  int number() {
    return number;
  }

  static TextKind of(int number) {
    for (TextKind value : values()) {
      if (value.number == number) {
        return value;
      }
    }
    return UNKNOWN;
  }
}
