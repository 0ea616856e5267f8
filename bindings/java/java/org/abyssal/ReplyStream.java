package org.abyssal;

import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * A reply while it is written: an iterator of events, the last of them of kind END. Each call of next() does one step,
 * on the calling thread; where tokens take less than a millisecond and the sequence is the reply's own, it does the next
 * ones too until that is over, which changes none of them.
 *
 * <p>An interrupt of that thread ends the reply with the reason CANCELLED, and stays set, as do cancel() and the
 * cancellation token of the options. Leaving early and closing, or dropping the stream, ends the reply too. The
 * sequence keeps what was evaluated. One thread at a time iterates; any thread may cancel.
 */
public final class ReplyStream implements Iterator<Event>, Iterable<Event>, AutoCloseable {
  // Microseconds that a reply may be ahead of its reader on a sequence that nobody else can look at: between two tokens of
  // a small model what Java needs leaves the core's caches, so it is left alone for some tokens.
  private static final long WRITE_AHEAD = 1000;

  private final Generation generation;
  private final Use use;
  private final Watch watch;
  private final long[] numbers = new long[8];
  private final Sequence owned; // closed with the reply, or null
  private volatile boolean ended;

  private ReplyStream(Generation generation, Sequence on, boolean owned, CancellationToken token) {
    this.generation = generation;
    this.use = on.use;
    this.watch = new Watch(token, generation::cancel);
    this.owned = owned ? on : null;
  }

  static ReplyStream start(
      Sequence on, int[] prompt, GenerationOptions options, boolean plainByDefault, boolean owned) {
    on.use.enter();
    try (RawGenerationOptions raw = options.raw(plainByDefault)) {
      raw.setWriteAhead(owned ? WRITE_AHEAD : 0);
      Generation generation = new Generation(on, prompt, raw, options);
      return new ReplyStream(generation, on, owned, options.cancellation);
    } catch (RuntimeException | Error failed) {
      if (owned) {
        on.close();
      }
      throw failed;
    } finally {
      on.use.leave();
    }
  }

  /** Whether the last event is still to come. */
  @Override
  public boolean hasNext() {
    return !ended;
  }

  /**
   * Does one step: a part of the prompt, or one token.
   *
   * @return what it did
   * @throws NoSuchElementException after END or close()
   * @throws AbyssalException as {@link Sequence#eval(int[])}; the reply is then as before the step, which may be tried
   *     again
   */
  @Override
  public Event next() {
    if (ended) {
      throw new NoSuchElementException("the reply has ended");
    }
    Event event = step();
    if (event.kind() == EventKind.END) {
      close();
    }
    return event;
  }

  private Event step() {
    use.enter();
    try {
      String text;
      watch.begin();
      try {
        text = generation.next(numbers);
      } finally {
        watch.end();
      }
      return new Event(EventKind.of((int) numbers[0]), text == null ? "" : text, TextKind.of((int) numbers[2]),
          (int) numbers[1], FinishReason.of((int) numbers[3]), numbers[4], numbers[5], numbers[6], numbers[7]);
    } finally {
      use.leave();
    }
  }

  /** The same iterator: a reply is read once. */
  @Override
  public Iterator<Event> iterator() {
    return this;
  }

  /**
   * The events as a sequential stream. Close it, or this, when it is left early.
   *
   * @return a stream that closes this reply when it is closed
   */
  public Stream<Event> stream() {
    int traits = Spliterator.ORDERED | Spliterator.NONNULL;
    return StreamSupport.stream(Spliterators.spliteratorUnknownSize(this, traits), false).onClose(this::close);
  }

  /**
   * Allows some tokens only, from the next one drawn until the mask is set again. It holds for end-of-sequence tokens too,
   * and comes before topK, topP and minP. From the thread that iterates.
   *
   * @param allowed a flag for each id of the vocabulary: whether it may be drawn; null lifts the mask
   * @throws AbyssalException INVALID_ARGUMENT: another length, or no id is allowed; the mask before stays. BUSY while a
   *     step runs. STATE after the end
   */
  public void setMask(boolean[] allowed) {
    generation.setMask(Check.mask(allowed));
  }

  /** Ends the reply at the next step, with the reason CANCELLED; interrupts a running step. Any thread. */
  public void cancel() {
    try {
      generation.cancel();
    } catch (AbyssalException error) {
      if (error.status() != Status.STATE) { // it has ended, and is closed
        throw error;
      }
    }
  }

  /** Ends the reply and lets go of the sequence. May be called more than once, from any thread. */
  @Override
  public void close() {
    ended = true;
    cancel();
    generation.close();
    if (owned != null) {
      owned.close();
    }
  }

  /**
   * Runs to the end and gathers what is still to come.
   *
   * @return the reply
   * @throws AbyssalException as next(); the stream is then closed
   */
  public Reply reply() {
    StringBuilder content = new StringBuilder();
    StringBuilder reasoning = new StringBuilder();
    int[] tokens = new int[16];
    int count = 0;
    FinishReason reason = FinishReason.NONE;
    Usage usage = new Usage(0, 0, 0);
    try (this) {
      while (!ended) {
        Event event = next();
        (event.textKind() == TextKind.REASONING ? reasoning : content).append(event.text());
        usage = event.usage();
        reason = event.finishReason();
        if (event.kind() == EventKind.TOKEN) {
          if (count == tokens.length) {
            tokens = java.util.Arrays.copyOf(tokens, 2 * count);
          }
          tokens[count++] = event.token();
        }
      }
    }
    return new Reply(content.toString(), reasoning.toString(), java.util.Arrays.copyOf(tokens, count), reason, usage);
  }
}
