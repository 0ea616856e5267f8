package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.abyssal.Dtype;
import org.abyssal.Model;
import org.abyssal.ModelOptions;
import org.abyssal.Sequence;
import org.abyssal.Status;
import org.abyssal.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TensorsTest {
  private static final int[] PROMPT = Support.ramp(12, 13);

  private static Map<String, Tensor> tensors(String name) throws IOException {
    Map<String, Tensor> all = new LinkedHashMap<>();
    try (Stream<Path> files = Files.list(Support.checkpoint(name))) {
      files.filter(file -> file.getFileName().toString().matches("model.*\\.safetensors"))
          .forEach(file -> all.putAll(Support.tensors(file)));
    }
    return all;
  }

  private static Model fromTensors(String name, Map<String, Tensor> tensors) throws IOException {
    String config = Files.readString(Support.checkpoint(name).resolve("config.json"));
    return Model.fromTensors(config, tensors.values(), new ModelOptions().cacheTokens(512));
  }

  private static float[] logits(Model model) {
    try (Sequence sequence = model.sequence()) {
      sequence.eval(PROMPT);
      return sequence.logits();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"tiny-v3", "tiny-v3-fp8", "tiny-r1-distill-llama"})
  void fromTensorsEqualsOpen(String name) throws IOException {
    try (Model opened = Support.open(name); Model made = fromTensors(name, tensors(name))) {
      assertArrayEquals(logits(opened), logits(made));
      assertFalse(made.info().hasTokenizer());
      Support.fails(Status.STATE, () -> made.tokenize("x"));
    }
  }

  @Test
  void update() throws IOException {
    Map<String, Tensor> tensors = tensors("tiny-v2-lite");
    try (Model model = fromTensors("tiny-v2-lite", tensors); Sequence sequence = model.sequence()) {
      float[] before = logits(model);
      sequence.eval(PROMPT);
      float[] norm = new float[128];
      Arrays.fill(norm, 0.5f);
      model.update(List.of(Tensor.of("model.norm.weight", norm, norm.length)));
      assertEquals(0, sequence.length());
      Support.fails(Status.STATE, sequence::logits);
      assertTrue(Support.relativeError(logits(model), before) > 1e-3);
      model.update(List.of(tensors.get("model.norm.weight")));
      assertArrayEquals(before, logits(model));

      String text = Support
          .fails(Status.NOT_FOUND, () -> model.update(List.of(Tensor.of("no.such.weight", norm, norm.length))))
          .getMessage();
      assertTrue(text.contains("no.such.weight"), text);
      Support.fails(Status.FORMAT,
          () -> model.update(List.of(Tensor.of("model.norm.weight", norm, 64, 2))));
      assertArrayEquals(before, logits(model));
    }
  }

  @Test
  void shapesAndBytesMustAgree() throws IOException {
    Support.fails(Status.INVALID_ARGUMENT, () -> Tensor.of("x", new float[5], 2, 2));
    Support.fails(Status.INVALID_ARGUMENT, () -> Tensor.of("x", Dtype.BF16, ByteBuffer.allocate(7), 4));
    Support.fails(Status.INVALID_ARGUMENT, () -> Tensor.of("x", Dtype.Q4_0, ByteBuffer.allocate(18), 33));
    Support.fails(Status.INVALID_ARGUMENT, () -> Tensor.of("x", Dtype.AUTO, ByteBuffer.allocate(0), 0));
    assertEquals(Dtype.Q4_0, Tensor.of("x", Dtype.Q4_0, ByteBuffer.allocate(36), 2, 32).dtype());
    ByteBuffer part = ByteBuffer.allocateDirect(32).position(8).limit(16);
    assertArrayEquals(new long[] {2}, Tensor.of("x", Dtype.F32, part, 2).shape());
    Map<String, Tensor> missing = tensors("tiny-v2-lite");
    missing.remove("model.norm.weight");
    String text = Support.fails(Status.NOT_FOUND, () -> fromTensors("tiny-v2-lite", missing)).getMessage();
    assertTrue(text.contains("model.norm.weight"), text);
  }
}
