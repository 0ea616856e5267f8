package org.abyssal;

/** A failed call: its status, and a text that says what was wrong, where, and what was expected. */
public final class AbyssalException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** The C API's number. */
  private final int number;

  /** Also called by the native half. */
  AbyssalException(int number, String text) {
    super(text);
    this.number = number;
  }

  AbyssalException(Status status, String text) {
    this(status.number(), text);
  }

  /**
   * Why the call failed.
   *
   * @return the status, or UNKNOWN for one that is newer than this class
   */
  public Status status() {
    return Status.of(number);
  }

  /**
   * The C API's number of the status, also of one that is newer than this class.
   *
   * @return a negative number that is pinned forever
   */
  public int statusNumber() {
    return number;
  }

  /**
   * The C API's name of the status, as every language has it.
   *
   * @return such as "ABY_ERROR_FORMAT"
   */
  public String code() {
    return "ABY_ERROR_" + status();
  }

  @Override
  public String toString() {
    return getClass().getName() + ": " + status() + ": " + getMessage();
  }
}
