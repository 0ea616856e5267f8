package org.abyssal;

/** What binds the content of a reply. */
public enum ConstraintKind {
  /** The content is JSON that a schema of up to 4 MiB admits, with few blanks. */
  JSON_SCHEMA(1),
  /**
   * The content as a whole matches a regular expression of up to 64 KiB, in the syntax of Rust's crate regex without
   * anchors, lazy repetition and look-around.
   */
  REGEX(2),
  /** The content is a text of a context-free grammar of up to 64 KiB, in llguidance's variant of Lark's notation. */
  GRAMMAR(3);

  private final int number;

  ConstraintKind(int number) {
    this.number = number;
  }

  int number() {
    return number;
  }
}
