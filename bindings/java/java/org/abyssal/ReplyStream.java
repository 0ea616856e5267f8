package org.abyssal;

import java.util.Arrays;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * A reply while it is written: an iterator of events, the last of them of kind END. They are computed on the thread that
 * calls next().
 *
 * <p>Where tokens take less than a millisecond, those of that time are computed in one step, ahead of the events that
 * are read. A reply onto a sequence of the caller's is never ahead, nor is one that begins with a mask: see
 * {@link #setMask}.
 *
 * <p>An interrupt of that thread ends the reply with the reason CANCELLED, and stays set, as do cancel() and the
 * cancellation token of the options; events that are computed already come first. Leaving early and closing ends the
 * reply too, as does dropping the stream, when it is cleaned up. Until then calls that would change the sequence get
 * BUSY; it keeps the prompt and the tokens so far. One thread at a time iterates; any thread may cancel.
 */
public final class ReplyStream implements Iterator<Event>, Iterable<Event>, AutoCloseable {
  // Between two tokens of a small model what Java needs leaves the core's caches: it is left alone for some tokens.
  private static final long AHEAD_MICROSECONDS = 1000;

  private final Generation generation;
  private final Use use;
  private final Watch watch;
  private final Sequence owned; // closed with the reply, or null
  private final long seed;
  private final boolean logprobs;
  private boolean ahead; // of the events read
  private boolean begun;
  private Step step = Step.NONE; // the last one
  private volatile boolean ended;

  private ReplyStream(Generation generation, Sequence on, boolean owned, ReplyOptions options) {
    this.generation = generation;
    this.use = on.use;
    this.watch = new Watch(options.cancellation, generation::cancel);
    this.owned = owned ? on : null;
    this.seed = generation.seed();
    this.logprobs = options.logprobs;
    this.ahead = owned && options.mask.length == 0;
  }

  static ReplyStream start(
      Sequence on, int[] prompt, ReplyOptions options, boolean plainByDefault, boolean owned) {
    on.use.enter();
    try {
      return new ReplyStream(options.begin(on, prompt, plainByDefault), on, owned, options);
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
   * The next event: a part of the prompt was evaluated, or a token drawn, or the reply has ended.
   *
   * @return what happened
   * @throws NoSuchElementException after END or close()
   * @throws AbyssalException as {@link Sequence#eval(int[])}, such as CACHE_FULL; the reply is then as before, and the
   *     event may be asked for again
   */
  @Override
  public Event next() {
    if (ended) {
      throw new NoSuchElementException("the reply has ended");
    }
    Event event;
    use.enter();
    try {
      if (!step.hasNext()) {
        step = doStep();
      }
      event = step.next();
    } finally {
      use.leave();
    }
    if (event.kind() == EventKind.END) {
      close();
    }
    return event;
  }

  private Step doStep() {
    begun = true;
    watch.begin();
    try {
      return generation.step(ahead ? AHEAD_MICROSECONDS : 0);
    } finally {
      watch.end();
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
   * What the reply is drawn with: given again, it gives the same one.
   *
   * @return the seed
   */
  public long seed() {
    return seed;
  }

  /**
   * Allows some tokens only, from the next one drawn until the mask is set again. It holds for end-of-sequence tokens too,
   * and comes before topK, topP and minP. From the thread that iterates.
   *
   * <p>The next token is the one after the last event read: masks may be set where the reply is not ahead of its events.
   * That is on a sequence of the caller's ({@link Sequence#generate}, {@link ChatOptions#sequence}), or with a mask from
   * the beginning: {@link ReplyOptions#mask}, or setMask, also of null, before the first event.
   *
   * @param allowed a flag for each id of the vocabulary: whether it may be drawn; null lifts the mask
   * @throws AbyssalException INVALID_ARGUMENT: another length, or no id is allowed; the mask before stays. BUSY while a
   *     step runs. STATE after the end, or where the reply goes ahead
   */
  public void setMask(boolean[] allowed) {
    boolean[] flags = Check.mask(allowed);
    if (ahead && begun && !ended) {
      throw new AbyssalException(Status.STATE, "tokens of this reply are drawn ahead of the events that were read; to"
          + " change masks between events, begin it with one (ReplyOptions.mask, or setMask before the first event), or"
          + " write it onto a sequence of your own");
    }
    ahead = false;
    generation.setMask(flags);
  }

  /**
   * Ends the reply at the next step, with the reason CANCELLED; interrupts a running one. Events that are computed
   * already come first. Any thread.
   */
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
    float[] tokenLogprobs = new float[16];
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
            tokens = Arrays.copyOf(tokens, 2 * count);
            tokenLogprobs = Arrays.copyOf(tokenLogprobs, 2 * count);
          }
          tokens[count] = event.token();
          tokenLogprobs[count] = event.logprob();
          ++count;
        }
      }
    }
    return new Reply(content.toString(), reasoning.toString(), Arrays.copyOf(tokens, count), reason, usage, seed,
        Arrays.copyOf(tokenLogprobs, logprobs ? count : 0));
  }
}
