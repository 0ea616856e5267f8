package org.abyssal;

import java.util.Objects;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;

/** Publishes a reply of its own to each subscriber, as many events as the subscriber asks for. */
final class EventPublisher implements Flow.Publisher<Event> {
  /** Steps are long and run in native code, which a virtual thread or a shared pool is no place for. */
  static final Executor STEPS = Executors.newCachedThreadPool(work -> {
    Thread thread = new Thread(work, "abyssal-publisher");
    thread.setDaemon(true);
    return thread;
  });

  private final Supplier<ReplyStream> start;
  private final Executor executor;

  EventPublisher(Supplier<ReplyStream> start, Executor executor) {
    this.start = start;
    this.executor = Objects.requireNonNull(executor);
  }

  @Override
  public void subscribe(Flow.Subscriber<? super Event> subscriber) {
    Objects.requireNonNull(subscriber);
    subscriber.onSubscribe(new Steps(subscriber));
  }

  private final class Steps implements Flow.Subscription {
    private final Flow.Subscriber<? super Event> subscriber;
    private final AtomicLong wanted = new AtomicLong(); // while it is above 0, one task works
    private volatile boolean cancelled;
    private volatile boolean refused; // asked for nothing or less
    private volatile ReplyStream reply;

    Steps(Flow.Subscriber<? super Event> subscriber) {
      this.subscriber = subscriber;
    }

    @Override
    public void request(long count) {
      if (count <= 0) {
        refused = true;
      }
      long more = Math.max(count, 1);
      if (wanted.getAndAccumulate(more, (old, plus) -> old + plus < 0 ? Long.MAX_VALUE : old + plus) == 0) {
        try {
          executor.execute(this::work);
        } catch (RuntimeException full) {
          cancelled = true;
          subscriber.onError(full);
        }
      }
    }

    @Override
    public void cancel() {
      cancelled = true;
      ReplyStream running = reply;
      if (running != null) {
        running.close();
      }
    }

    private void work() {
      try {
        do {
          if (cancelled) {
            return; // what was wanted stays above 0: nobody works again
          }
          if (refused) {
            throw new IllegalArgumentException("a subscriber asked for no event; expected at least one");
          }
          if (reply == null) {
            reply = start.get();
          }
          Event event = reply.next();
          if (cancelled) {
            return;
          }
          subscriber.onNext(event);
          if (event.kind() == EventKind.END) {
            cancelled = true;
            subscriber.onComplete();
            return;
          }
        } while (wanted.decrementAndGet() > 0);
      } catch (Throwable failed) {
        boolean tell = !cancelled;
        cancelled = true;
        if (tell) {
          subscriber.onError(failed);
        }
      } finally {
        if (cancelled && reply != null) {
          reply.close();
        }
      }
    }
  }
}
