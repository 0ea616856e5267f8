package org.abyssal;

/** What happened to a reply. */
public enum EventKind {
  /** Part of the prompt was evaluated: see promptDone and promptTotal. */
  PROMPT(0),
  /** A token was drawn; the text may be empty while a character or marker is incomplete. */
  TOKEN(1),
  /** The reply has ended: see finishReason. The text is what was held back. */
  END(2),
  /** One that is newer than these classes. */
  UNKNOWN(-1);

  private final int number;

  EventKind(int number) {
    this.number = number;
  }

  int number() {
    return number;
  }

  static EventKind of(int number) {
    for (EventKind value : values()) {
      if (value.number == number) {
        return value;
      }
    }
    return UNKNOWN;
  }
}
