package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.List;
import org.abyssal.EvalOptions;
import org.abyssal.Model;
import org.abyssal.Output;
import org.abyssal.Sequence;
import org.abyssal.Status;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class SequenceTest {
  private static Model model;

  @BeforeAll
  static void open() {
    model = Support.open("tiny-v2-lite");
  }

  @AfterAll
  static void close() {
    model.close();
  }

  @Test
  void logitsAsArrayAndAsBuffer() {
    try (Sequence sequence = model.sequence()) {
      sequence.eval(Support.ramp(5, 7), new EvalOptions().logits(3));
      float[] logits = sequence.logits();
      assertEquals(3 * model.info().vocabSize(), logits.length);
      FloatBuffer buffer = sequence.logitsBuffer();
      assertTrue(buffer.isDirect());
      float[] copied = new float[buffer.remaining()];
      buffer.get(copied);
      assertArrayEquals(logits, copied);

      ByteBuffer bytes = ByteBuffer.allocateDirect(4 * (logits.length + 2)).order(ByteOrder.nativeOrder());
      FloatBuffer own = bytes.asFloatBuffer();
      own.position(1);
      sequence.readLogits(own);
      assertEquals(1 + logits.length, own.position());
      own.get(1, copied);
      assertArrayEquals(logits, copied);
      assertEquals(0, own.get(0));
      assertEquals(0, own.get(1 + logits.length));
      own.position(3);
      Support.fails(Status.INVALID_ARGUMENT, () -> sequence.readLogits(own));
      assertEquals(3, own.position());
      Support.fails(Status.INVALID_ARGUMENT, () -> sequence.readLogits(FloatBuffer.allocate(9999999)));
    }
  }

  @Test
  void forkAndTruncate() {
    int[] tokens = Support.ramp(80, 11);
    try (Sequence sequence = model.sequence()) {
      sequence.eval(tokens);
      float[] whole = sequence.logits();
      try (Sequence fork = sequence.fork()) {
        assertArrayEquals(tokens, fork.tokens());
        Support.fails(Status.STATE, fork::logits);
        fork.truncate(79);
        fork.eval(tokens[79]);
        assertTrue(Support.relativeError(fork.logits(), whole) < 1e-5);
        fork.eval(1, 2, 3);
        assertEquals(83, fork.length());
      }
      assertEquals(80, sequence.length());
      sequence.truncate(0);
      assertEquals(0, sequence.length());
      Support.fails(Status.INVALID_ARGUMENT, () -> sequence.truncate(1));
      Support.fails(Status.INVALID_ARGUMENT, () -> sequence.truncate(-1));
    }
  }

  @Test
  void batchEqualsEachAlone() {
    int[] first = Support.ramp(20, 3);
    int[] second = Support.ramp(7, 5);
    try (Sequence a = model.sequence(); Sequence b = model.sequence(); Sequence c = model.sequence()) {
      Sequence.evalBatch(List.of(a, b), List.of(first, second), new EvalOptions());
      c.eval(second);
      assertTrue(Support.relativeError(b.logits(), c.logits()) < 1e-5);
      assertEquals(20, a.length());
      Support.fails(Status.INVALID_ARGUMENT,
          () -> Sequence.evalBatch(List.of(a, a), List.of(first, first), new EvalOptions()));
      Support.fails(Status.INVALID_ARGUMENT, () -> Sequence.evalBatch(List.of(a), List.of(), new EvalOptions()));
      Support.fails(Status.INVALID_ARGUMENT,
          () -> Sequence.evalBatch(List.of(a, b), List.of(first, new int[] {-1}), new EvalOptions()));
      assertEquals(20, a.length());
      a.eval(4); // nothing is left in use
    }
  }

  @Test
  void errors() {
    try (Sequence sequence = model.sequence()) {
      assertTrue(Support.fails(Status.INVALID_ARGUMENT, () -> sequence.eval(5, 99999)).getMessage().contains("99999"));
      Support.fails(Status.INVALID_ARGUMENT, () -> sequence.eval());
      Support.fails(Status.STATE, sequence::logits);
      Support.fails(Status.CONTEXT_FULL, () -> sequence.eval(Support.ramp(100_000, 1)));
      sequence.eval(1, 2);
      Support.fails(Status.STATE, sequence::hidden);
      Support.fails(Status.STATE, () -> sequence.output(Output.CACHE_K, 0));
      assertEquals(2, sequence.length());
      sequence.close();
      sequence.close();
      Support.fails(Status.STATE, sequence::length);
      Support.fails(Status.STATE, () -> sequence.eval(1));
      Support.fails(Status.STATE, sequence::fork);
      assertTrue(sequence.isClosed());
    }
  }
}
