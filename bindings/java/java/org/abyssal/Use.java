package org.abyssal;

import java.util.concurrent.atomic.AtomicBoolean;

/** Sole use of a sequence. A thread that cannot have it at once gets BUSY, as from the library. */
final class Use {
  private final AtomicBoolean taken = new AtomicBoolean();

  void enter() {
    if (!taken.compareAndSet(false, true)) {
      throw new AbyssalException(Status.BUSY, "the sequence is in use by a call on another thread");
    }
  }

  void leave() {
    taken.set(false);
  }
}
