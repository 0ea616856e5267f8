package org.abyssal;

import java.util.function.Consumer;

/** What the native half asks and tells while it opens a model, or writes one anew. */
final class OpenProgress {
  private final Progress progress;
  private final CancellationToken token;
  private final Consumer<String> warning;

  OpenProgress(ModelOptions options) {
    progress = options.progress;
    token = options.cancellation;
    warning = options.warning;
  }

  /** Called from native code by this name. True cancels. */
  boolean report(int stage, long done, long total) {
    if (Thread.currentThread().isInterrupted() || token != null && token.isCancelled()) {
      return true;
    }
    return progress != null && progress.report(Stage.of(stage), done, total);
  }

  /** Called from native code by this name. */
  void warn(String text) {
    if (warning != null) {
      warning.accept(text);
    } else {
      System.getLogger("org.abyssal").log(System.Logger.Level.WARNING, text);
    }
  }
}
