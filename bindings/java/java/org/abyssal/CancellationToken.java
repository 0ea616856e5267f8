package org.abyssal;

/**
 * Cancels the calls that it was given to, from any thread, for good. An evaluation or an opening throws CANCELLED; a
 * reply ends with the reason CANCELLED.
 */
public final class CancellationToken {
  private volatile boolean cancelled;

  /** A token that is not cancelled. */
  public CancellationToken() {}

  /** Cancels. May be called more than once. */
  public void cancel() {
    cancelled = true;
    Watch.wake();
  }

  /**
   * Whether cancel() was called.
   *
   * @return true from then on
   */
  public boolean isCancelled() {
    return cancelled;
  }
}
