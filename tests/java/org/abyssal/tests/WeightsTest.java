package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.stream.Stream;
import org.abyssal.Attention;
import org.abyssal.Dtype;
import org.abyssal.EvalOptions;
import org.abyssal.Model;
import org.abyssal.ModelInfo;
import org.abyssal.ModelOptions;
import org.abyssal.ModelPlan;
import org.abyssal.Output;
import org.abyssal.Sequence;
import org.abyssal.Status;
import org.abyssal.Weights;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Weights rounded while they are loaded, forms of attention, rounded cache rows, and packed caches. */
class WeightsTest {
  private static ModelOptions options() {
    return new ModelOptions().backend("cpu").threads(1).cacheTokens(512);
  }

  private static ModelOptions exact() {
    return options().activations(Dtype.F32);
  }

  private static float[] logits(String name, ModelOptions options, int... tokens) {
    try (Model model = Model.open(Support.checkpoint(name), options); Sequence sequence = model.sequence()) {
      sequence.eval(tokens);
      return sequence.logits();
    }
  }

  @ParameterizedTest
  @CsvSource({"INT8, 2e-2, I16, as q8 (", "INT4, 1.5e-1, I8, as q4 ("})
  void roundedWeightsAreNearTheStoredOnes(Weights weights, double limit, Dtype arithmetic, String layout) {
    Support.Expected expected = new Support.Expected("tiny-v3");
    ModelOptions options = options().weights(weights);
    try (Model model = Model.open(Support.checkpoint("tiny-v3"), options); Sequence sequence = model.sequence()) {
      sequence.eval(expected.ints("p2.input_ids"), new EvalOptions().hiddenLayers(true));
      float[] hidden = sequence.output(Output.HIDDEN, 1).floats();
      double off = Support.relativeError(hidden, expected.floats("p2.hidden.1"));
      assertTrue(off > 1e-3 && off < limit, Double.toString(off));
      ModelInfo info = model.info();
      assertEquals(arithmetic, info.arithmetic());
      assertTrue(info.weightLayouts().contains(layout), info.weightLayouts());
      ModelPlan plan = Model.plan(Support.checkpoint("tiny-v3"), options);
      assertEquals(plan.weightBytes(), info.weightBytes());
      assertFalse(info.packedCache());
    }
  }

  @Test
  void storedWeightsHaveNoOtherLayout() {
    try (Model model = Model.open(Support.checkpoint("tiny-v3"), options())) {
      assertEquals("", model.info().weightLayouts());
      assertEquals(Dtype.BF16, model.info().activations());
      assertEquals(Dtype.BF16, model.info().cacheDtype());
    }
    try (Model model = Model.open(Support.checkpoint("tiny-v3"), options().activations(Dtype.F32))) {
      assertEquals(Dtype.F32, model.info().activations());
      assertEquals(Dtype.F32, model.info().cacheDtype());
    }
  }

  @Test
  void formsOfAttention() {
    int[] tokens = Support.ramp(40, 7);
    float[] absorbed = logits("tiny-v3", exact().attention(Attention.ABSORBED), tokens);
    float[] expanded = logits("tiny-v3", exact().attention(Attention.EXPANDED), tokens);
    assertArrayEquals(logits("tiny-v3", exact().absorbBelow(0xFFFFFFFFL), tokens), absorbed);
    assertArrayEquals(logits("tiny-v3", exact().absorbBelow(1), tokens), expanded);
    assertFalse(Arrays.equals(absorbed, expanded));
    assertTrue(Support.relativeError(absorbed, expanded) < 1e-4);
    ModelOptions both = options().attention(Attention.ABSORBED).absorbBelow(5);
    Support.fails(Status.INVALID_ARGUMENT, () -> Model.open(Support.checkpoint("tiny-v3"), both));
  }

  @Test
  void roundedCacheRows() {
    ModelOptions narrow = options().cacheDtype(Dtype.I8);
    try (Model model = Model.open(Support.checkpoint("tiny-v3"), narrow)) {
      assertEquals(Dtype.I8, model.info().cacheDtype());
      ModelPlan wide = Model.plan(Support.checkpoint("tiny-v3"), options().cacheDtype(Dtype.BF16));
      assertTrue(model.info().cacheBytesPerToken() < wide.cacheBytesPerToken());
    }
  }

  private static Path onlyFile(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> all = files.toList();
      assertEquals(1, all.size(), all.toString());
      return all.get(0);
    }
  }

  @Test
  void packedCache(@TempDir Path folder) throws IOException {
    List<String> heard = new ArrayList<>();
    ModelOptions options = options().weights(Weights.INT8).packedCache(folder).warning(heard::add);
    int[] tokens = Support.ramp(12, 13);
    float[] want = logits("tiny-v2", options, tokens);
    try (Model second = Model.open(Support.checkpoint("tiny-v2"), options.packedCacheCheck(true))) {
      assertTrue(second.info().packedCache());
    }
    assertArrayEquals(want, logits("tiny-v2", options, tokens));
    assertEquals(List.of(), heard);

    Files.writeString(onlyFile(folder), "nothing");
    assertArrayEquals(want, logits("tiny-v2", options, tokens));
    assertEquals(1, heard.size(), heard.toString());
    assertTrue(heard.get(0).contains("packed cache"), heard.get(0));

    Files.writeString(onlyFile(folder), "nothing");
    IllegalStateException own = new IllegalStateException("from the callback");
    ModelOptions throwing = options.warning(text -> {
      throw own;
    });
    assertSame(own,
        assertThrows(IllegalStateException.class, () -> Model.open(Support.checkpoint("tiny-v2"), throwing)));
  }

  @Test
  void warningsThatNobodyAskedForAreLogged(@TempDir Path folder) throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "in the way of a folder");
    List<LogRecord> heard = new ArrayList<>();
    Handler handler = new Handler() {
      @Override
      public void publish(LogRecord entry) {
        heard.add(entry);
      }

      @Override
      public void flush() {}

      @Override
      public void close() {}
    };
    Logger logger = Logger.getLogger("org.abyssal");
    logger.addHandler(handler);
    logger.setUseParentHandlers(false);
    try {
      Model.open(Support.checkpoint("tiny-v2"), options().weights(Weights.INT8).packedCache(file)).close();
    } finally {
      logger.removeHandler(handler);
      logger.setUseParentHandlers(true);
    }
    assertEquals(1, heard.size());
    assertEquals(Level.WARNING, heard.get(0).getLevel());
    assertTrue(heard.get(0).getMessage().contains("packed cache"), heard.get(0).getMessage());
  }
}
