package org.abyssal;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;

/**
 * Looks, during a native call, whether its thread is interrupted or its token cancelled, and then cancels it. One
 * daemon thread looks at all running calls: native code does not return by itself when its thread is interrupted, and
 * handing each call to another thread would cost two switches a token.
 */
final class Watch {
  private static final long LOOK_NANOS = 20_000_000;
  private static final int LOOKS_BEFORE_SLEEP = 100;
  private static final Set<Watch> RUNNING = ConcurrentHashMap.newKeySet();

  private static volatile boolean asleep = true; // the thread is started by the first wake()

  private final CancellationToken token;
  private final Runnable cancel;
  private Thread thread;

  Watch(CancellationToken token, Runnable cancel) {
    this.token = token;
    this.cancel = cancel;
  }

  /** The calling thread enters the call, which ends at once when it is cancelled already. */
  void begin() {
    synchronized (this) {
      thread = Thread.currentThread();
    }
    RUNNING.add(this);
    if (asleep) {
      wake();
    }
    look();
  }

  /** The call has returned: nothing is cancelled from now on. */
  void end() {
    synchronized (this) {
      thread = null;
    }
    RUNNING.remove(this);
  }

  /** Cancels the call, if it is running. From any thread. */
  synchronized void cancelCall() {
    if (thread != null) {
      cancel.run();
    }
  }

  /** Has the next look come at once. */
  static void wake() {
    LockSupport.unpark(Looker.THREAD);
  }

  private synchronized void look() {
    if (thread != null && (thread.isInterrupted() || token != null && token.isCancelled())) {
      try {
        cancel.run();
      } catch (AbyssalException closed) {
        // The call was the last user of a closed object, and has returned.
      }
    }
  }

  private static void lookForever() {
    asleep = false;
    for (int quiet = 0;;) {
      if (!RUNNING.isEmpty()) {
        quiet = 0;
      } else if (++quiet > LOOKS_BEFORE_SLEEP) {
        asleep = true;
        if (RUNNING.isEmpty()) {
          LockSupport.park();
        }
        asleep = false;
        quiet = 0;
      }
      RUNNING.forEach(Watch::look);
      LockSupport.parkNanos(LOOK_NANOS);
    }
  }

  private static final class Looker {
    static final Thread THREAD = start();

    private static Thread start() {
      Thread thread = new Thread(null, Watch::lookForever, "abyssal-watch", 0, false);
      thread.setDaemon(true);
      thread.setContextClassLoader(null);
      thread.start();
      return thread;
    }
  }
}
