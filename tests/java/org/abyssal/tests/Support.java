package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.abyssal.AbyssalException;
import org.abyssal.Dtype;
import org.abyssal.Model;
import org.abyssal.ModelOptions;
import org.abyssal.Status;
import org.abyssal.Tensor;
import org.junit.jupiter.api.function.Executable;

/** What the tests share: the conformance checkpoints and their expected values. */
final class Support {
  static final Path SOURCE = Path.of(System.getProperty("abyssal.source"));

  private Support() {}

  static Path checkpoint(String name) {
    return SOURCE.resolve("tests/data/conformance").resolve(name);
  }

  static Model open(String name) {
    return Model.open(checkpoint(name), new ModelOptions().cacheTokens(2048));
  }

  /** With float32 arithmetic, whose results are compared closely. */
  static Model openExact(String name) {
    return Model.open(checkpoint(name), new ModelOptions().cacheTokens(2048).activations(Dtype.F32));
  }

  static AbyssalException fails(Status status, Executable call) {
    AbyssalException error = assertThrows(AbyssalException.class, call);
    assertEquals(status, error.status(), error.getMessage());
    return error;
  }

  /** The tensors of a safetensors file, in the file's own bytes. */
  static Map<String, Tensor> tensors(Path file) {
    try (FileChannel channel = FileChannel.open(file)) {
      ByteBuffer all = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size()).order(ByteOrder.LITTLE_ENDIAN);
      int length = (int) all.getLong(0);
      byte[] header = new byte[length];
      all.get(8, header);
      Map<String, Tensor> tensors = new LinkedHashMap<>();
      Matcher entry = Pattern
          .compile("\"([^\"]+)\":\\s*\\{\"dtype\":\\s*\"(\\w+)\",\\s*\"shape\":\\s*\\[([^\\]]*)\\],\\s*"
              + "\"data_offsets\":\\s*\\[(\\d+),\\s*(\\d+)\\]")
          .matcher(new String(header, StandardCharsets.UTF_8));
      while (entry.find()) {
        long[] shape = Arrays.stream(entry.group(3).split(",\\s*")).mapToLong(Long::parseLong).toArray();
        int begin = Integer.parseInt(entry.group(4));
        ByteBuffer data = all.slice(8 + length + begin, Integer.parseInt(entry.group(5)) - begin);
        tensors.put(entry.group(1), Tensor.of(entry.group(1), Dtype.valueOf(entry.group(2)), data, shape));
      }
      return tensors;
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  /** Elements of four bytes, by the names of expected.safetensors. */
  static final class Expected {
    private final Map<String, ByteBuffer> data = new LinkedHashMap<>();

    Expected(String name) {
      Path file = checkpoint(name).resolve("expected.safetensors");
      try (FileChannel channel = FileChannel.open(file)) {
        ByteBuffer all = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size()).order(ByteOrder.LITTLE_ENDIAN);
        int length = (int) all.getLong(0);
        byte[] header = new byte[length];
        all.get(8, header);
        Matcher entry = Pattern.compile("\"([^\"]+)\":\\s*\\{[^}]*\"data_offsets\":\\s*\\[(\\d+),\\s*(\\d+)\\]")
            .matcher(new String(header, StandardCharsets.UTF_8));
        while (entry.find()) {
          int begin = Integer.parseInt(entry.group(2));
          data.put(entry.group(1), all.slice(8 + length + begin, Integer.parseInt(entry.group(3)) - begin)
              .order(ByteOrder.LITTLE_ENDIAN));
        }
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }

    int[] ints(String name) {
      int[] values = new int[data.get(name).remaining() / 4];
      data.get(name).asIntBuffer().get(0, values);
      return values;
    }

    float[] floats(String name) {
      float[] values = new float[data.get(name).remaining() / 4];
      data.get(name).asFloatBuffer().get(0, values);
      return values;
    }
  }

  /** |x - reference| / |reference| over the whole tensor. */
  static double relativeError(float[] x, float[] reference) {
    assertEquals(reference.length, x.length);
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < x.length; ++i) {
      difference += ((double) x[i] - reference[i]) * ((double) x[i] - reference[i]);
      norm += (double) reference[i] * reference[i];
    }
    return Math.sqrt(difference / Math.max(norm, 1e-300));
  }

  static int[] ramp(int count, int step) {
    int[] tokens = new int[count];
    Arrays.setAll(tokens, i -> (i * step + 3) % 1200);
    return tokens;
  }
}
