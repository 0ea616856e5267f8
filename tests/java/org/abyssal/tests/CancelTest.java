package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.abyssal.AbyssalException;
import org.abyssal.CancellationToken;
import org.abyssal.EvalOptions;
import org.abyssal.FinishReason;
import org.abyssal.ReplyOptions;
import org.abyssal.Model;
import org.abyssal.ModelOptions;
import org.abyssal.Reply;
import org.abyssal.ReplyStream;
import org.abyssal.Sequence;
import org.abyssal.Stage;
import org.abyssal.Status;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Interrupts, tokens and cancel(), on the slow reference backend, where a prompt of 2000 tokens takes seconds. */
@Timeout(600)
class CancelTest {
  private static Model slow;

  @BeforeAll
  static void open() {
    slow = Model.open(Support.checkpoint("tiny-v3"), new ModelOptions().backend("reference"));
  }

  @AfterAll
  static void close() {
    slow.close();
  }

  private static int[] longPrompt() {
    int[] tokens = new int[2000];
    Arrays.fill(tokens, 3);
    return tokens;
  }

  /** Runs body on a thread, interrupts it while it works, and gives what body threw, or null. */
  private static Throwable interrupted(Runnable body, Runnable instead) throws InterruptedException {
    AtomicReference<Throwable> thrown = new AtomicReference<>();
    AtomicReference<Boolean> flag = new AtomicReference<>(false);
    Thread thread = new Thread(() -> {
      try {
        body.run();
      } catch (Throwable error) {
        thrown.set(error);
      }
      flag.set(Thread.currentThread().isInterrupted());
    });
    thread.start();
    Thread.sleep(100);
    assertTrue(thread.isAlive());
    if (instead == null) {
      thread.interrupt();
    } else {
      instead.run();
    }
    thread.join();
    assertEquals(instead == null, flag.get()); // the interrupt stays set
    return thrown.get();
  }

  /** Waits until another thread is inside a call on an empty sequence: a busy machine starts threads late. */
  private static void awaitBusy(Sequence empty) {
    try {
      while (true) {
        empty.truncate(0);
        Thread.onSpinWait();
      }
    } catch (AbyssalException error) {
      assertEquals(Status.BUSY, error.status());
    }
  }

  /** Evaluates, although awaitBusy may be in the way for a moment. */
  private static void evalAtLast(Sequence sequence, int[] tokens) {
    while (true) {
      try {
        sequence.eval(tokens);
        return;
      } catch (AbyssalException error) {
        if (error.status() != Status.BUSY) {
          throw error;
        }
      }
    }
  }

  /** A call on an object that is closed meanwhile works to its end, or was not yet begun and says so. */
  private static void assertWorkedOrClosed(Throwable error) {
    assertTrue(error == null || error instanceof AbyssalException closed && closed.status() == Status.STATE,
        String.valueOf(error));
  }

  private static void assertCancelled(Throwable error) {
    Support.fails(Status.CANCELLED, () -> {
      throw error;
    });
  }

  @Test
  void interruptCancelsAnEvaluation() throws InterruptedException {
    try (Sequence sequence = slow.sequence()) {
      sequence.eval(1, 2, 3);
      assertCancelled(interrupted(() -> sequence.eval(longPrompt()), null));
      assertEquals(3, sequence.length());
      sequence.eval(4); // nothing is left of it
      assertEquals(4, sequence.length());
    }
  }

  @Test
  void tokenAndCancelFromAnotherThread() throws InterruptedException {
    try (Sequence sequence = slow.sequence()) {
      CancellationToken token = new CancellationToken();
      EvalOptions options = new EvalOptions().cancellation(token);
      assertCancelled(interrupted(() -> sequence.eval(longPrompt(), options), token::cancel));
      assertTrue(token.isCancelled());
      Support.fails(Status.CANCELLED, () -> sequence.eval(new int[] {1}, options));
      assertCancelled(interrupted(() -> sequence.eval(longPrompt()), sequence::cancel));
      assertEquals(0, sequence.length());
    }
  }

  /** cancel() is of the evaluation that runs: none that comes later, and every sequence of a batch. */
  @Test
  void cancelIsOfTheEvaluationThatRuns() throws InterruptedException {
    try (Sequence first = slow.sequence(); Sequence second = slow.sequence()) {
      first.cancel();
      first.eval(1, 2);
      List<Sequence> both = List.of(first, second);
      List<int[]> tokens = List.of(longPrompt(), longPrompt());
      assertCancelled(interrupted(() -> Sequence.evalBatch(both, tokens, new EvalOptions()), second::cancel));
      CancellationToken token = new CancellationToken();
      EvalOptions options = new EvalOptions().cancellation(token);
      assertCancelled(interrupted(() -> Sequence.evalBatch(both, tokens, options), token::cancel));
      assertCancelled(interrupted(() -> Sequence.evalBatch(both, tokens, new EvalOptions()), null));
      second.eval(1, 2, 3);
      assertEquals(2, first.length());
      assertEquals(3, second.length());
    }
  }

  @Test
  void aSequenceInUseIsBusy() throws InterruptedException {
    try (Sequence sequence = slow.sequence()) {
      assertCancelled(interrupted(() -> evalAtLast(sequence, longPrompt()), () -> {
        awaitBusy(sequence);
        Support.fails(Status.BUSY, () -> sequence.eval(1));
        Support.fails(Status.BUSY, () -> sequence.truncate(0));
        Support.fails(Status.BUSY, sequence::logits);
        sequence.cancel();
      }));
    }
  }

  @Test
  void interruptEndsAReply() throws InterruptedException {
    AtomicReference<Reply> reply = new AtomicReference<>();
    ReplyOptions options = new ReplyOptions().ignoreEos(true);
    Throwable error = interrupted(() -> reply.set(slow.generate(longPrompt(), options)), null);
    assertEquals(null, error);
    assertEquals(FinishReason.CANCELLED, reply.get().finishReason());
  }

  @Test
  void tokenEndsAReply() throws InterruptedException {
    CancellationToken token = new CancellationToken();
    AtomicReference<Reply> reply = new AtomicReference<>();
    ReplyOptions options = new ReplyOptions().cancellation(token);
    assertEquals(null, interrupted(() -> reply.set(slow.generate(longPrompt(), options)), token::cancel));
    assertEquals(FinishReason.CANCELLED, reply.get().finishReason());
    assertEquals(FinishReason.CANCELLED, slow.generate(new int[] {1}, options).finishReason());
  }

  @Test
  void closingDuringACall() throws InterruptedException {
    Sequence sequence = slow.sequence();
    Throwable error = interrupted(() -> evalAtLast(sequence, Arrays.copyOf(longPrompt(), 500)), () -> {
      awaitBusy(sequence);
      sequence.close(); // the call keeps what it works on
      Support.fails(Status.STATE, sequence::cancel);
    });
    assertWorkedOrClosed(error);
    ReplyOptions options = new ReplyOptions().ignoreEos(true);
    ReplyStream stream = slow.generateStream(longPrompt(), options);
    assertWorkedOrClosed(interrupted(() -> {
      while (stream.hasNext()) {
        stream.next();
      }
    }, stream::close));
  }

  @Test
  void interruptedThreadsStartNothing() {
    Thread.currentThread().interrupt();
    try (Sequence sequence = slow.sequence()) {
      Support.fails(Status.CANCELLED, () -> sequence.eval(1));
      assertEquals(FinishReason.CANCELLED, slow.generate(new int[] {1}, new ReplyOptions()).finishReason());
      Support.fails(Status.CANCELLED, () -> Support.open("tiny-v2"));
    } finally {
      assertTrue(Thread.interrupted());
    }
  }

  @Test
  void progressOfOpening() {
    Set<Stage> stages = EnumSet.noneOf(Stage.class);
    AtomicInteger calls = new AtomicInteger();
    ModelOptions watched = new ModelOptions().progress((stage, done, total) -> {
      assertTrue(done <= total && total > 0);
      stages.add(stage);
      calls.incrementAndGet();
      return false;
    });
    Model.open(Support.checkpoint("tiny-v3"), watched).close();
    assertEquals(EnumSet.of(Stage.READ, Stage.WEIGHTS), stages);
    assertTrue(calls.get() > 2);

    ModelOptions refused = new ModelOptions().progress((stage, done, total) -> stage == Stage.WEIGHTS);
    Support.fails(Status.CANCELLED, () -> Model.open(Support.checkpoint("tiny-v3"), refused));
    IllegalStateException own = new IllegalStateException("from the callback");
    ModelOptions throwing = new ModelOptions().progress((stage, done, total) -> {
      throw own;
    });
    assertSame(own,
        assertThrows(IllegalStateException.class, () -> Model.open(Support.checkpoint("tiny-v3"), throwing)));
    CancellationToken token = new CancellationToken();
    token.cancel();
    ModelOptions cancelled = new ModelOptions().cancellation(token);
    Support.fails(Status.CANCELLED, () -> Model.open(Support.checkpoint("tiny-v3"), cancelled));
    assertFalse(Thread.currentThread().isInterrupted());
  }
}
