package org.abyssal;

/** Told how far the opening of a model is. */
@FunctionalInterface
public interface Progress {
  /**
   * Called on the thread that opens. Must not use the model that is being opened. An exception cancels the opening and
   * is passed on.
   *
   * @param stage what is being done
   * @param done bytes done in this stage
   * @param total bytes of this stage
   * @return true cancels: the opening throws CANCELLED
   */
  boolean report(Stage stage, long done, long total);
}
