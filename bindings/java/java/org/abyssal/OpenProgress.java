package org.abyssal;

/** What the native half asks while it opens a model. */
final class OpenProgress {
  private final Progress progress;
  private final CancellationToken token;

  OpenProgress(ModelOptions options) {
    progress = options.progress;
    token = options.cancellation;
  }

  /** Called from native code by this name. True cancels. */
  boolean report(int stage, long done, long total) {
    if (Thread.currentThread().isInterrupted() || token != null && token.isCancelled()) {
      return true;
    }
    return progress != null && progress.report(Stage.of(stage), done, total);
  }
}
