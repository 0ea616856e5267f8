package org.abyssal;

/** The events of one step, which is one call of the native half, handed out one by one. */
final class Step {
  static final Step NONE = new Step(new long[0], "");
  private static final int COLUMNS = 10;

  private final long[] columns; // [COLUMNS, count], as calls.h writes them
  private final String text; // of all events
  private final int count;
  private int next;
  private int textBegin; // of the next one

  Step(long[] columns, String text) {
    this.columns = columns;
    this.text = text;
    count = columns.length / COLUMNS;
  }

  boolean hasNext() {
    return next < count;
  }

  Event next() {
    int textEnd = (int) number(9);
    Event event = new Event(EventKind.of((int) number(0)), text.substring(textBegin, textEnd),
        TextKind.of((int) number(2)), (int) number(1), Float.intBitsToFloat((int) number(8)),
        FinishReason.of((int) number(3)), number(4), number(5), number(6), number(7));
    textBegin = textEnd;
    ++next;
    return event;
  }

  private long number(int column) {
    return columns[column * count + next];
  }
}
