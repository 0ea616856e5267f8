package org.abyssal;

/** Checks of plain arguments that C's types cannot hold. */
final class Check {
  private Check() {}

  static AbyssalException invalid(String text) {
    return new AbyssalException(Status.INVALID_ARGUMENT, text);
  }

  static long unsigned32(long value, String name) {
    if (value < 0 || value > 0xFFFFFFFFL) {
      throw invalid(name + " is " + value + "; expected 0 to 4294967295");
    }
    return value;
  }

  static long notNegative(long value, String name) {
    if (value < 0) {
      throw invalid(name + " is " + value + "; expected 0 or more");
    }
    return value;
  }

  static float notNegative(float value, String name) {
    if (!(value >= 0)) {
      throw invalid(name + " is " + value + "; expected 0 or more");
    }
    return value;
  }

  static long positive(long value, String name) {
    if (value < 1) {
      throw invalid(name + " is " + value + "; expected at least 1");
    }
    return value;
  }

  /** The shape of an array of so many elements must be the one given. */
  static void elements(int length, String name, long expected, String shape) {
    if (length != expected) {
      throw invalid(name + " has " + length + " elements; expected " + expected + ": " + shape);
    }
  }

  /** A copy of a mask, which holds a flag at least; for null one without any. */
  static boolean[] mask(boolean[] value) {
    if (value == null) {
      return new boolean[0];
    }
    if (value.length == 0) {
      throw invalid("mask is empty; expected a flag for each id, or null");
    }
    return value.clone();
  }
}
