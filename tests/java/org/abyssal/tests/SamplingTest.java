package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.abyssal.EvalOptions;
import org.abyssal.Event;
import org.abyssal.EventKind;
import org.abyssal.Model;
import org.abyssal.Reply;
import org.abyssal.ReplyOptions;
import org.abyssal.ReplyStream;
import org.abyssal.Sequence;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Seeds, filters and log-probabilities. This checkpoint's own sampling is temperature 0.6 and top_p 0.95. */
class SamplingTest {
  private static final int[] PROMPT = {5, 6, 7};
  private static Model model;

  @BeforeAll
  static void open() {
    model = Support.openExact("tiny-v3");
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static ReplyOptions free() {
    return new ReplyOptions().ignoreEos(true).maxTokens(60);
  }

  private static int[] drawn(ReplyOptions options) {
    return model.generate(PROMPT, options).tokens();
  }

  @Test
  void theSameSeedDrawsTheSame() {
    ReplyOptions options = free().temperature(1).seed(-7).topP(0.9f).topK(50).minP(0.01f);
    Reply reply = model.generate(PROMPT, options);
    assertEquals(-7, reply.seed());
    assertArrayEquals(reply.tokens(), drawn(options));
  }

  @Test
  void seedsAreRandomAndTold() {
    Reply first = model.generate(PROMPT, free());
    Reply second = model.generate(PROMPT, free());
    assertNotEquals(first.seed(), second.seed());
    assertFalse(Arrays.equals(first.tokens(), second.tokens()));
    assertTrue(first.seed() >= 0 && first.seed() < 1L << 53);
    assertArrayEquals(first.tokens(), drawn(free().seed(first.seed())));
    try (ReplyStream stream = model.generateStream(PROMPT, free())) {
      long seed = stream.seed();
      Reply reply = stream.reply();
      assertEquals(seed, stream.seed()); // also after the end
      assertEquals(seed, reply.seed());
      assertArrayEquals(reply.tokens(), drawn(free().seed(seed)));
    }
  }

  @Test
  void whatIsNotSetIsTheCheckpointsOwn() {
    int[] own = drawn(free().seed(3));
    assertArrayEquals(own, drawn(free().seed(3).temperature(0.6f).topP(0.95f).topK(0).minP(0)));
    assertFalse(Arrays.equals(own, drawn(free().seed(3).topP(1)))); // off
    assertFalse(Arrays.equals(own, drawn(free().seed(3).temperature(1))));
    int[] greedy = drawn(free().temperature(0));
    assertArrayEquals(greedy, drawn(free().topK(1)));
    assertArrayEquals(greedy, drawn(free().minP(1)));
    assertArrayEquals(greedy, drawn(free().topP(0)));
  }

  /** The natural logarithm of softmax, of the last row. */
  private static double logProbability(float[] logits, int token) {
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp((double) logit - logits[token]);
    }
    return -Math.log(sum);
  }

  @Test
  void logprobsAreOfTheModel() {
    ReplyOptions options = new ReplyOptions().temperature(1.5f).topK(20).seed(4).maxTokens(6).ignoreEos(true);
    Reply without = model.generate(PROMPT, options);
    Reply reply = model.generate(PROMPT, options.logprobs(true));
    assertEquals(0, without.logprobs().length);
    assertArrayEquals(without.tokens(), reply.tokens());
    assertEquals(6, reply.logprobs().length);
    try (Sequence sequence = model.sequence()) {
      sequence.eval(PROMPT, new EvalOptions());
      for (int i = 0; i < 6; ++i) {
        assertEquals(logProbability(sequence.logits(), reply.tokens()[i]), reply.logprobs()[i], 1e-3);
        sequence.eval(reply.tokens()[i]);
      }
    }
  }

  @Test
  void eventsTellLogprobsWhereTheyWereAskedFor() {
    for (boolean asked : new boolean[] {false, true}) {
      int[] first = drawn(free().temperature(0));
      ReplyOptions options = free().temperature(0).stopTokens(first[first.length - 1]).logprobs(asked);
      try (ReplyStream stream = model.generateStream(PROMPT, options)) {
        for (Event event : stream) {
          assertEquals(asked && event.token() >= 0, !Float.isNaN(event.logprob()), event.toString());
          assertTrue(event.kind() != EventKind.END || event.token() >= 0); // the one that ended it
        }
      }
    }
  }
}
