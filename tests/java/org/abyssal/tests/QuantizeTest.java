package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.Set;
import org.abyssal.CancellationToken;
import org.abyssal.Model;
import org.abyssal.ModelOptions;
import org.abyssal.Sequence;
import org.abyssal.Stage;
import org.abyssal.Status;
import org.abyssal.Weights;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Checkpoints written anew with rounded weights. */
class QuantizeTest {
  private static final Path MODEL = Support.checkpoint("tiny-v2");

  @TempDir
  Path folder;

  private static ModelOptions rounded() {
    return new ModelOptions().threads(1).cacheTokens(256).weights(Weights.INT4);
  }

  private static float[] logits(Path path) {
    try (Model model = Model.open(path, rounded()); Sequence sequence = model.sequence()) {
      assertTrue(model.info().hasTokenizer());
      sequence.eval(Support.ramp(12, 13));
      return sequence.logits();
    }
  }

  @Test
  void theResultOpensWithTheSameBits() {
    Path out = folder.resolve("größer/kleiner");
    Set<Stage> stages = EnumSet.noneOf(Stage.class);
    Model.quantize(MODEL, out, rounded().progress((stage, done, total) -> {
      assertTrue(done <= total);
      stages.add(stage);
      return false;
    }));
    assertEquals(EnumSet.of(Stage.READ, Stage.WEIGHTS), stages);
    assertArrayEquals(logits(MODEL), logits(out));
    try (Model model = Model.open(out)) {
      assertTrue(model.info().weightTypes().contains("q4_0"), model.info().weightTypes());
    }
    String text = Support.fails(Status.INVALID_ARGUMENT, () -> Model.quantize(MODEL, out, rounded())).getMessage();
    assertTrue(text.contains("config.json"), text);
  }

  @Test
  void whatCannotBeWritten() {
    Support.fails(Status.INVALID_ARGUMENT, () -> Model.quantize(MODEL, folder, new ModelOptions()));
    Path gguf = Support.SOURCE.resolve("tests/data/conformance-gguf/tiny-qwen2-Q4_K_M.gguf");
    Support.fails(Status.UNSUPPORTED, () -> Model.quantize(gguf, folder, rounded()));
    Support.fails(Status.NOT_FOUND, () -> Model.quantize(folder.resolve("nothing"), folder, rounded()));
    Support.fails(Status.IO, () -> Model.quantize(MODEL, MODEL.resolve("config.json/below"), rounded()));
  }

  private void assertCancelled(ModelOptions options) {
    Path out = folder.resolve("cancelled");
    Support.fails(Status.CANCELLED, () -> Model.quantize(MODEL, out, options));
    assertFalse(Files.exists(out.resolve("config.json")));
    assertFalse(Files.exists(out.resolve("model.safetensors")));
  }

  @Test
  void everyWayToCancel() {
    assertCancelled(rounded().progress((stage, done, total) -> stage == Stage.WEIGHTS));
    CancellationToken token = new CancellationToken();
    assertCancelled(rounded().cancellation(token).progress((stage, done, total) -> {
      if (stage == Stage.WEIGHTS) {
        token.cancel(); // seen by the next report
      }
      return false;
    }));
    assertTrue(token.isCancelled());
    assertCancelled(rounded().progress((stage, done, total) -> {
      if (stage == Stage.WEIGHTS) {
        Thread.currentThread().interrupt();
      }
      return false;
    }));
    assertTrue(Thread.interrupted()); // it stays set
    IllegalStateException own = new IllegalStateException("from the callback");
    assertSame(own, assertThrows(IllegalStateException.class,
        () -> Model.quantize(MODEL, folder.resolve("thrown"), rounded().progress((stage, done, total) -> {
          throw own;
        }))));
  }
}
