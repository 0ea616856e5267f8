package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.abyssal.EvalOptions;
import org.abyssal.ReplyOptions;
import org.abyssal.Model;
import org.abyssal.ModelInfo;
import org.abyssal.ModelOptions;
import org.abyssal.ModelPlan;
import org.abyssal.Output;
import org.abyssal.OutputArray;
import org.abyssal.Reply;
import org.abyssal.Sequence;
import org.abyssal.Status;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The values that C and Python are checked against too. */
class ConformanceTest {
  private static final double LOGITS_LIMIT = 1e-4;
  private static final double HIDDEN_LIMIT = 2e-5;
  private static final float RESOLVED_GAP = 1e-3f; // between the two best logits, that float32 arithmetic resolves

  @ParameterizedTest
  @ValueSource(strings = {"tiny-v2", "tiny-v2-lite", "tiny-v3", "tiny-v3-fp8", "tiny-kimi-k2", "tiny-r1-distill-qwen",
      "tiny-r1-distill-llama"})
  void logitsAndGreedyTokens(String name) {
    Support.Expected expected = new Support.Expected(name);
    try (Model model = Support.openExact(name); Sequence sequence = model.sequence()) {
      for (String prompt : new String[] {"p1", "p2"}) {
        int[] tokens = expected.ints(prompt + ".input_ids");
        float[] want = expected.floats(prompt + ".logits_last");
        int rows = want.length / model.info().vocabSize();
        sequence.truncate(0);
        sequence.eval(tokens, new EvalOptions().logits(rows));
        assertTrue(Support.relativeError(sequence.logits(), want) < LOGITS_LIMIT);

        int[] greedy = expected.ints(prompt + ".greedy_ids");
        float[] gaps = expected.floats(prompt + ".greedy_gap");
        int resolved = 0;
        while (resolved < gaps.length && gaps[resolved] > RESOLVED_GAP) {
          ++resolved;
        }
        ReplyOptions options = new ReplyOptions().temperature(0).ignoreEos(true).maxTokens(greedy.length);
        Reply reply = model.generate(tokens, options);
        assertTrue(resolved > 0);
        assertArrayEquals(Arrays.copyOf(greedy, resolved), Arrays.copyOf(reply.tokens(), resolved));
      }
    }
  }

  @Test
  void bf16ByDefault() {
    Support.Expected expected = new Support.Expected("tiny-v3");
    try (Model model = Support.open("tiny-v3"); Sequence sequence = model.sequence()) {
      sequence.eval(expected.ints("p2.input_ids"), new EvalOptions().hiddenLayers(true));
      // Before a route that bf16 cannot resolve can send a token to another expert.
      float[] hidden = sequence.output(Output.HIDDEN, 1).floats();
      assertTrue(Support.relativeError(hidden, expected.floats("p2.hidden.1")) < 1e-2);
    }
  }

  @Test
  void hiddenStatesRoutesAndCache() {
    Support.Expected expected = new Support.Expected("tiny-v3");
    try (Model model = Support.openExact("tiny-v3"); Sequence sequence = model.sequence()) {
      int[] tokens = expected.ints("p2.input_ids");
      sequence.eval(tokens, new EvalOptions().hidden(true).hiddenLayers(true).routes(true));
      assertTrue(Support.relativeError(sequence.hidden(), expected.floats("p2.hidden.4")) < HIDDEN_LIMIT);
      OutputArray embedding = sequence.output(Output.HIDDEN, 0);
      assertArrayEquals(new long[] {tokens.length, 128}, embedding.shape());
      assertTrue(Support.relativeError(embedding.floats(), expected.floats("p2.hidden.0")) < HIDDEN_LIMIT);
      OutputArray index = sequence.output(Output.ROUTE_INDEX, 1);
      assertArrayEquals(new long[] {tokens.length, 4}, index.shape());
      assertArrayEquals(expected.ints("p2.route_index.1"), index.ints());
      Support.fails(Status.INVALID_ARGUMENT, () -> sequence.output(Output.ROUTE_INDEX, 0)); // a dense layer
      float[] latent = sequence.output(Output.CACHE_C_KV, 1).floats();
      assertTrue(Support.relativeError(latent, expected.floats("p2.c_kv.1")) < HIDDEN_LIMIT);
    }
  }

  @Test
  void infoAndPlan() {
    try (Model model = Support.open("tiny-v3")) {
      ModelInfo info = model.info();
      assertEquals("deepseek_v3", info.architecture());
      assertEquals("mla", info.attention());
      assertEquals(1280, info.vocabSize());
      assertEquals(32, info.experts());
      assertEquals(0, info.bosToken());
      assertTrue(info.hasTokenizer() && info.hasChatTemplate() && info.reasons());
      assertArrayEquals(new int[] {1}, model.eosTokens());
      ModelPlan plan = Model.plan(Support.checkpoint("tiny-v3"), new ModelOptions().cacheTokens(2048));
      assertEquals(info.parameters(), plan.parameters());
      assertEquals(info.weightBytes(), plan.weightBytes());
      assertEquals(2048, plan.cacheTokens());
      assertEquals(plan.weightBytes() + plan.cacheBytes() + plan.scratchBytes(), plan.totalBytes());
    }
  }
}
