package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.abyssal.Device;
import org.abyssal.DeviceOptions;
import org.abyssal.Dtype;
import org.abyssal.ExpertWeights;
import org.abyssal.Experts;
import org.abyssal.Mla;
import org.abyssal.Router;
import org.abyssal.Scoring;
import org.abyssal.Status;
import org.abyssal.Tensor;
import org.abyssal.TopkMethod;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Routing, experts and MLA against plain loops in double. */
class OpsTest {
  private final Random random = new Random(7);

  private float[] noise(int count, double scale) {
    float[] values = new float[count];
    for (int i = 0; i < count; ++i) {
      values[i] = (float) (random.nextGaussian() * scale);
    }
    return values;
  }

  private static Device device(String backend) {
    return Device.open(new DeviceOptions().backend(backend).threads(2));
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "reference"})
  void routes(String backend) {
    try (Device device = device(backend)) {
      float[] logits = {0, 3, 1, 2, 5, 4, 0, 0};
      Router.Routes routes = new Router().topK(2).scoring(Scoring.SIGMOID).normTopkProb(true)
          .routedScalingFactor(2).route(device, logits, 4);
      assertArrayEquals(new int[] {1, 3, 0, 1}, routes.index());
      double a = 1 / (1 + Math.exp(-3));
      double b = 1 / (1 + Math.exp(-2));
      assertEquals(2 * a / (a + b), routes.weight()[0], 1e-6);
      assertEquals(2 * b / (a + b), routes.weight()[1], 1e-6);
      // Two groups of two: the bias makes the second one win, and is not part of the weight.
      Router grouped = new Router().topK(2).groups(2, 1).scoring(Scoring.SIGMOID).method(TopkMethod.NOAUX_TC)
          .bias(0, 0, 5, 5);
      assertArrayEquals(new int[] {2, 3, 2, 3}, grouped.route(device, logits, 4).index());
      assertEquals(b, grouped.route(device, logits, 4).weight()[1], 1e-6);
      assertEquals(0, grouped.route(device, new float[0], 4).index().length);
      Support.fails(Status.INVALID_ARGUMENT, () -> grouped.route(device, new float[5], 4));
      Support.fails(Status.INVALID_ARGUMENT, () -> new Router().topK(5).route(device, logits, 4));
      Support.fails(Status.INVALID_ARGUMENT, () -> new Router().groups(3, 1).route(device, logits, 4));
    }
  }

  private static void addMlp(double[] out, int row, float[] x, double factor, float[][] gateUpDown, int d, int inter) {
    double[] z = new double[inter];
    for (int i = 0; i < inter; ++i) {
      double gate = 0;
      double up = 0;
      for (int j = 0; j < d; ++j) {
        gate += (double) x[row * d + j] * gateUpDown[0][i * d + j];
        up += (double) x[row * d + j] * gateUpDown[1][i * d + j];
      }
      z[i] = gate / (1 + Math.exp(-gate)) * up;
    }
    for (int j = 0; j < d; ++j) {
      for (int i = 0; i < inter; ++i) {
        out[row * d + j] += factor * z[i] * gateUpDown[2][j * inter + i];
      }
    }
  }

  private static void assertClose(double[] want, float[] got, double limit) {
    float[] rounded = new float[want.length];
    for (int i = 0; i < want.length; ++i) {
      rounded[i] = (float) want[i];
    }
    assertTrue(Support.relativeError(got, rounded) < limit);
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "reference"})
  void experts(String backend) {
    int e = 5;
    int d = 24;
    int inter = 16;
    int rows = 3;
    float[][][] weights = new float[e + 1][][];
    List<List<Tensor>> tensors = List.of(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    for (int i = 0; i <= e; ++i) {
      weights[i] = new float[][] {noise(inter * d, 0.3), noise(inter * d, 0.3), noise(d * inter, 0.3)};
      for (int part = 0; part < 3 && i < e; ++part) {
        tensors.get(part).add(part < 2 ? Tensor.of("", weights[i][part], inter, d)
            : Tensor.of("", weights[i][part], d, inter));
      }
    }
    Tensor sharedGate = Tensor.of("", weights[e][0], inter, d);
    Tensor sharedUp = Tensor.of("", weights[e][1], inter, d);
    Tensor sharedDown = Tensor.of("", weights[e][2], d, inter);
    ExpertWeights given = new ExpertWeights(tensors.get(0), tensors.get(1), tensors.get(2))
        .shared(sharedGate, sharedUp, sharedDown);
    float[] x = noise(rows * d, 1);
    int[] index = {0, 3, 1, 2, 3, 0};
    float[] weight = {0.5f, 0.25f, 1, 0.125f, 0.3f, 0.7f};
    double[] want = new double[rows * d];
    for (int row = 0; row < rows; ++row) {
      for (int k = 0; k < 2; ++k) {
        addMlp(want, row, x, weight[row * 2 + k], weights[index[row * 2 + k]], d, inter);
      }
      addMlp(want, row, x, 1, weights[e], d, inter);
    }
    try (Device device = device(backend); Experts experts = Experts.of(device, given)) {
      assertClose(want, experts.run(x, index, weight, 2), 1e-5);
      index[5] = 9;
      Support.fails(Status.INVALID_ARGUMENT, () -> experts.run(x, index, weight, 2));
      Support.fails(Status.INVALID_ARGUMENT, () -> experts.run(x, new int[3], weight, 2));
      Support.fails(Status.INVALID_ARGUMENT, () -> Experts.of(device,
          new ExpertWeights(tensors.get(0), tensors.get(2), tensors.get(1))));
      Support.fails(Status.INVALID_ARGUMENT, () -> Experts.of(device,
          new ExpertWeights(tensors.get(0), tensors.get(1), List.of())));
      experts.close();
      Support.fails(Status.STATE, () -> experts.run(x, new int[] {0, 1, 2, 3, 4, 0}, weight, 2));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "reference"})
  void mla(String backend) {
    Mla.Shape shape = new Mla.Shape(2, 32, 8, 4, 6);
    int keys = 8 + 6;
    float[] kvB = noise(2 * keys * 32, 0.3);
    float[] cache = noise(2 * 64 * 36, 1);
    float[] q = noise(3 * 2 * 12, 1);
    // Sequence 0: one token after four, in block 1. Sequence 1: two tokens after none, in block 0.
    Mla.Batch batch = new Mla.Batch(new int[] {0, 1, 3}, new int[] {4, 0}, new int[] {1, 0});
    double scale = 0.3;
    double[] want = new double[3 * 2 * 6];
    for (int row = 0; row < 3; ++row) {
      int first = (row == 0 ? 1 : 0) * 64;
      int length = row == 0 ? 5 : row;
      for (int head = 0; head < 2; ++head) {
        attendOne(want, row * 2 + head, head, q, kvB, cache, first, length, scale);
      }
    }
    Tensor rows = Tensor.of("cache", cache, 2, 64, 36);
    try (Device device = device(backend);
        Mla mla = Mla.of(device, Tensor.of("kv_b", kvB, 2 * keys, 32), shape, Dtype.F32)) {
      assertClose(want, mla.attend(q, rows, batch, (float) scale), 1e-5);
      assertClose(want, mla.attend(q, rows, batch, (float) scale, 1), 1e-5);
      Mla.Batch outside = new Mla.Batch(new int[] {0, 1, 3}, new int[] {4, 0}, new int[] {7, 0});
      Support.fails(Status.INVALID_ARGUMENT, () -> mla.attend(q, rows, outside, 1));
      Support.fails(Status.INVALID_ARGUMENT, () -> mla.attend(new float[3], rows, batch, 1));
      Support.fails(Status.INVALID_ARGUMENT,
          () -> mla.attend(q, Tensor.of("cache", cache, 2, 36, 64), batch, 1));
      Support.fails(Status.INVALID_ARGUMENT,
          () -> Mla.of(device, Tensor.of("kv_b", kvB, 32, 2 * keys), shape, Dtype.F32));
    }
  }

  private static void attendOne(double[] out, int at, int head, float[] q, float[] kvB, float[] cache, int first,
      int length, double scale) {
    double[] share = new double[length];
    double sum = 0;
    for (int t = 0; t < length; ++t) {
      double score = 0;
      for (int i = 0; i < 12; ++i) {
        double key = i < 8 ? product(kvB, head * 14 + i, cache, first + t) : cache[(first + t) * 36 + 32 + i - 8];
        score += q[at * 12 + i] * key;
      }
      share[t] = Math.exp(score * scale);
      sum += share[t];
    }
    for (int t = 0; t < length; ++t) {
      for (int i = 0; i < 6; ++i) {
        out[at * 6 + i] += share[t] / sum * product(kvB, head * 14 + 8 + i, cache, first + t);
      }
    }
  }

  private static double product(float[] kvB, int row, float[] cache, int token) {
    double sum = 0;
    for (int j = 0; j < 32; ++j) {
      sum += (double) kvB[row * 32 + j] * cache[token * 36 + j];
    }
    return sum;
  }
}
