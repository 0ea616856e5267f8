package org.abyssal;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.locks.Lock;
import java.util.function.BiConsumer;

/**
 * Tokens and the cache of their evaluation. Made by {@link Model#sequence()}.
 *
 * <p>One thread at a time uses a sequence (another one gets BUSY); cancel() and close() may come from any thread. While
 * a reply is written onto it, until its END or until its stream is closed, calls that would change it get BUSY too.
 * Sequences of one model may run on different threads. It keeps its model's memory, whatever is closed first.
 */
public final class Sequence extends NativeSequence {
  final Use use = new Use();
  private final ModelHandle model;
  private final Lock results; // of the model: held while results are read, so that an update waits
  private volatile Watch evaluation; // that runs now, or null

  Sequence(Model model) {
    super(model);
    this.model = new ModelHandle(model);
    results = model.results.readLock();
  }

  private Sequence(Sequence of) {
    super(of.forkPointer(), true);
    model = new ModelHandle(of.model);
    results = of.results;
  }

  Constraint compile(ConstraintKind kind, String text) {
    return new Constraint(model, kind, text);
  }

  /**
   * Appends tokens and evaluates them; logits of the last one are computed.
   *
   * @param tokens [n] ids, n at least 1, each 0 to vocab_size - 1
   * @throws AbyssalException as {@link #eval(int[], EvalOptions)}
   */
  public void eval(int... tokens) {
    eval(tokens, new EvalOptions());
  }

  /**
   * Appends tokens and evaluates them. An interrupt of the calling thread cancels it within a moment, and stays set.
   *
   * @param tokens [n] ids, n at least 1, each 0 to vocab_size - 1
   * @param options what to compute and keep
   * @throws AbyssalException INVALID_ARGUMENT: a token outside the vocabulary, or none; CONTEXT_FULL: the tokens never
   *     fit; CACHE_FULL: there is no room now; CANCELLED; BUSY; STATE: closed. The sequence is then as before, its
   *     results are gone
   */
  public void eval(int[] tokens, EvalOptions options) {
    evaluate(List.of(this), options, (raw, flag) -> evalNow(tokens, raw, flag));
  }

  /**
   * Evaluates several different sequences of one model in shared passes. The results equal those of each alone.
   *
   * @param sequences those to evaluate
   * @param tokens of each sequence, as in eval
   * @param options of all; its chunk counts the tokens of all sequences in a pass
   * @throws AbyssalException as {@link #eval(int[], EvalOptions)}, and then no sequence has changed
   */
  public static void evalBatch(List<Sequence> sequences, List<int[]> tokens, EvalOptions options) {
    if (sequences.size() != tokens.size()) {
      throw Check.invalid(sequences.size() + " sequences, but tokens of " + tokens.size());
    }
    if (sequences.stream().distinct().count() != sequences.size()) {
      throw Check.invalid("a sequence occurs twice in one batch");
    }
    try (RawBatch batch = new RawBatch()) {
      for (int i = 0; i < sequences.size(); ++i) {
        batch.add(sequences.get(i), tokens.get(i));
      }
      evaluate(sequences, options, batch::eval);
    }
  }

  /** Runs body, an evaluation of these sequences, with what cancels it. */
  private static void evaluate(
      List<Sequence> sequences, EvalOptions options, BiConsumer<RawEvalOptions, RawCancelFlag> body) {
    List<Sequence> entered = new ArrayList<>();
    try (RawEvalOptions raw = options.raw(); RawCancelFlag flag = new RawCancelFlag()) {
      Watch watch = new Watch(options.cancellation, flag::set);
      for (Sequence one : sequences) {
        one.use.enter();
        entered.add(one);
        one.evaluation = watch;
      }
      watch.begin();
      try {
        body.accept(raw, flag);
      } finally {
        watch.end();
      }
    } finally {
      for (Sequence one : entered) {
        one.evaluation = null;
        one.use.leave();
      }
    }
  }

  /**
   * Makes the evaluation that runs now throw CANCELLED soon, in its own thread; without one, does nothing. May be called
   * from any thread. A reply is cancelled by its stream.
   *
   * @throws AbyssalException STATE: closed
   */
  public void cancel() {
    if (isClosed()) {
      throw new AbyssalException(Status.STATE, "the sequence is closed");
    }
    Watch running = evaluation;
    if (running != null) {
      running.cancelCall();
    }
  }

  @Override
  public void close() {
    super.close();
    model.close();
  }

  /**
   * Logits of the last rows asked for.
   *
   * @return [rows * vocab_size], a new array
   * @throws AbyssalException STATE: there are none
   */
  public float[] logits() {
    return output(Output.LOGITS, 0).floats();
  }

  /**
   * Logits of the last rows asked for, in a new direct buffer in native order: copied once.
   *
   * @return [rows * vocab_size], from position 0 to the limit
   * @throws AbyssalException STATE: there are none
   */
  public FloatBuffer logitsBuffer() {
    return outputBuffer(Output.LOGITS, 0).asFloatBuffer();
  }

  /**
   * Copies the logits of the last rows asked for into a buffer that is used again and again: one copy, no allocation.
   *
   * @param to a direct buffer in native order; filled from its position, which moves behind the last element
   * @throws AbyssalException STATE: there are none; INVALID_ARGUMENT: the buffer is not direct or has too little room
   */
  public void readLogits(FloatBuffer to) {
    if (!to.isDirect() || to.isReadOnly() || to.order() != ByteOrder.nativeOrder()) {
      throw Check.invalid("the buffer is not a writable direct buffer in native order");
    }
    long count = read(() -> outputInto(Output.LOGITS.number(), 0, to.slice(), 4L * to.remaining()));
    to.position(to.position() + (int) count);
  }

  /**
   * Hidden state after the final norm of all n tokens of the last evaluation, if it was asked to keep them.
   *
   * @return [n * hidden_size], a new array
   * @throws AbyssalException STATE: it was not kept
   */
  public float[] hidden() {
    return output(Output.HIDDEN, -1).floats();
  }

  /**
   * A result of the last evaluation, or cached rows.
   *
   * @param kind which
   * @param layer of which layer, as {@link Output} says
   * @return its shape, and its elements in a new array
   * @throws AbyssalException STATE: it was not kept, or does not exist for this model
   */
  public OutputArray output(Output kind, int layer) {
    long[] shape = new long[5];
    Object elements = read(() -> outputArray(kind.number(), layer, shape));
    return new OutputArray(Arrays.copyOfRange(shape, 1, 1 + (int) shape[0]), elements);
  }

  /**
   * The same in a new direct buffer in native order: copied once.
   *
   * @param kind which
   * @param layer of which layer, as {@link Output} says
   * @return the elements, row-major, 4 bytes each
   * @throws AbyssalException STATE: it was not kept; UNSUPPORTED: it has 2^31 bytes or more
   */
  public ByteBuffer outputBuffer(Output kind, int layer) {
    return read(() -> {
      long[] shape = new long[5];
      outputShape(kind.number(), layer, shape);
      long bytes = 4;
      for (int i = 1; i <= shape[0]; ++i) {
        bytes *= shape[i];
      }
      if (bytes > Integer.MAX_VALUE) {
        throw new AbyssalException(Status.UNSUPPORTED, "the result has " + bytes + " bytes; a buffer holds 2^31 - 1");
      }
      ByteBuffer to = ByteBuffer.allocateDirect((int) bytes).order(ByteOrder.nativeOrder());
      outputInto(kind.number(), layer, to, bytes);
      return to;
    });
  }

  private <T> T read(java.util.function.Supplier<T> reader) {
    use.enter();
    results.lock();
    try {
      return reader.get();
    } finally {
      results.unlock();
      use.leave();
    }
  }

  /**
   * Forgets all tokens from a position on, and the results of the last evaluation.
   *
   * @param length tokens to keep
   * @throws AbyssalException INVALID_ARGUMENT: there are fewer; BUSY
   */
  public void truncate(long length) {
    Check.notNegative(length, "length");
    use.enter();
    try {
      truncateNow(length);
    } finally {
      use.leave();
    }
  }

  /**
   * A second sequence with the same tokens. Its cache is shared until one of the two writes (copy on write); results
   * are not carried over.
   *
   * @return a sequence, to be closed by the caller
   */
  public Sequence fork() {
    return new Sequence(this);
  }

  /**
   * Appends prompt tokens and writes a reply onto this sequence, which nothing else may change meanwhile. While it is
   * written the sequence has the prompt and all tokens of the events given but the last one; after the end that one too,
   * which is evaluated with what comes next. The token of an END does not belong to it. Unless options say otherwise,
   * reasoning is not told from content.
   *
   * @param tokens [n] ids; n may be 0 if the sequence has logits of its last token, or a reply left one to be evaluated
   * @param options how to draw
   * @return the reply while it is written; {@link ReplyStream#reply()} gathers it
   * @throws AbyssalException INVALID_ARGUMENT; CONTEXT_FULL: the prompt can never fit; BUSY: a reply is being written
   *     onto it; STATE: closed, or there is nothing to go on from
   */
  public ReplyStream generate(int[] tokens, ReplyOptions options) {
    return ReplyStream.start(this, tokens, options, true, false);
  }

  @Override
  public String toString() {
    return isClosed() ? "Sequence[closed]" : "Sequence[" + length() + " tokens]";
  }
}
