package org.abyssal;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.locks.Lock;

/**
 * Tokens that were evaluated and their cache. Made by {@link Model#sequence()}.
 *
 * <p>One thread at a time uses a sequence (another one gets BUSY); cancel() and close() may come from any thread.
 * Sequences of one model may run on different threads. It keeps its model's memory, whatever is closed first.
 */
public final class Sequence extends NativeSequence {
  final Use use = new Use();
  private final Lock results; // of the model: held while results are read, so that an update waits

  Sequence(Model model) {
    super(model);
    results = model.results.readLock();
  }

  private Sequence(long pointer, Lock results) {
    super(pointer, true);
    this.results = results;
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
   * @throws AbyssalException INVALID_ARGUMENT: a token outside the vocabulary, or none; CONTEXT_FULL; CANCELLED; BUSY;
   *     STATE: closed. The sequence is then as before, its results are gone
   */
  public void eval(int[] tokens, EvalOptions options) {
    use.enter();
    try (RawEvalOptions raw = options.raw()) {
      new Watch(options.cancellation, this::cancel).run(() -> evalNow(tokens, raw));
    } finally {
      use.leave();
    }
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
    List<Sequence> entered = new ArrayList<>();
    try (RawEvalOptions raw = options.raw(); RawBatch batch = new RawBatch()) {
      for (int i = 0; i < sequences.size(); ++i) {
        sequences.get(i).use.enter();
        entered.add(sequences.get(i));
        batch.add(sequences.get(i), tokens.get(i));
      }
      new Watch(options.cancellation, () -> entered.forEach(Sequence::cancel)).run(() -> batch.eval(raw));
    } finally {
      entered.forEach(one -> one.use.leave());
    }
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
    return new Sequence(forkPointer(), results);
  }

  /**
   * Appends prompt tokens and writes a reply onto this sequence, which must not be used otherwise meanwhile. Unless
   * options say otherwise, reasoning is not told from content.
   *
   * @param tokens [n] ids; n may be 0 if the sequence has logits of its last token
   * @param options how to draw
   * @return the reply while it is written; {@link ReplyStream#reply()} gathers it
   * @throws AbyssalException as {@link #eval(int[], EvalOptions)}
   */
  public ReplyStream generate(int[] tokens, GenerationOptions options) {
    return ReplyStream.start(this, tokens, options, true, false);
  }

  @Override
  public String toString() {
    return isClosed() ? "Sequence[closed]" : "Sequence[" + length() + " tokens]";
  }
}
