package org.abyssal;

/** A result: its shape, and its elements row-major in one array, which belongs to the caller. */
public final class OutputArray {
  private final long[] shape;
  private final Object elements;

  OutputArray(long[] shape, Object elements) {
    this.shape = shape;
    this.elements = elements;
  }

  /**
   * The sizes.
   *
   * @return as {@link Output} describes them
   */
  public long[] shape() {
    return shape.clone();
  }

  /**
   * The elements of a result of floats.
   *
   * @return the array itself, not a copy
   * @throws AbyssalException STATE: they are ints
   */
  public float[] floats() {
    if (elements instanceof float[] floats) {
      return floats;
    }
    throw new AbyssalException(Status.STATE, "the elements of this result are ints");
  }

  /**
   * The elements of a result of ints.
   *
   * @return the array itself, not a copy
   * @throws AbyssalException STATE: they are floats
   */
  public int[] ints() {
    if (elements instanceof int[] ints) {
      return ints;
    }
    throw new AbyssalException(Status.STATE, "the elements of this result are floats");
  }
}
