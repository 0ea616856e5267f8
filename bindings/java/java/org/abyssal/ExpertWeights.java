package org.abyssal;

import java.util.List;
import java.util.Objects;

/**
 * The weights that {@link Experts} are made of: matrices W of y = x W^T, of one type: F32, F16, BF16, F8_E4M3 with
 * scales, or a block format. Names of the tensors do not matter.
 */
public final class ExpertWeights {
  private final List<Tensor> gate;
  private final List<Tensor> up;
  private final List<Tensor> down;
  private List<Tensor> shared = List.of();
  private List<List<Tensor>> scales = List.of();
  private List<Tensor> sharedScales = List.of();
  private Dtype compute = Dtype.F32;
  private int blockN = 128;
  private int blockK = 128;

  /**
   * Weights of e experts.
   *
   * @param gate e tensors [inter, hidden]
   * @param up e tensors [inter, hidden]
   * @param down e tensors [hidden, inter]
   */
  public ExpertWeights(List<Tensor> gate, List<Tensor> up, List<Tensor> down) {
    this.gate = List.copyOf(gate);
    this.up = List.copyOf(up);
    this.down = List.copyOf(down);
  }

  /**
   * Adds shared experts.
   *
   * @param sharedGate [shared_inter, hidden]
   * @param sharedUp [shared_inter, hidden]
   * @param sharedDown [hidden, shared_inter]
   * @return this
   */
  public ExpertWeights shared(Tensor sharedGate, Tensor sharedUp, Tensor sharedDown) {
    shared = List.of(sharedGate, sharedUp, sharedDown);
    return this;
  }

  /**
   * Gives the scales of F8_E4M3 weights, F32 or F8_E8M0.
   *
   * @param ofGate e tensors [ceil(n / block n), ceil(k / block k)]
   * @param ofUp e tensors
   * @param ofDown e tensors
   * @return this
   */
  public ExpertWeights scales(List<Tensor> ofGate, List<Tensor> ofUp, List<Tensor> ofDown) {
    scales = List.of(List.copyOf(ofGate), List.copyOf(ofUp), List.copyOf(ofDown));
    return this;
  }

  /**
   * Gives the scales of shared experts of type F8_E4M3.
   *
   * @param ofGate [ceil(n / block n), ceil(k / block k)]
   * @param ofUp as ofGate
   * @param ofDown as ofGate
   * @return this
   */
  public ExpertWeights sharedScales(Tensor ofGate, Tensor ofUp, Tensor ofDown) {
    sharedScales = List.of(ofGate, ofUp, ofDown);
    return this;
  }

  /**
   * Rows and columns of a scale's block; 128 and 128 unless they are set.
   *
   * @param rows at least 1
   * @param columns at least 1
   * @return this
   */
  public ExpertWeights block(int rows, int columns) {
    blockN = (int) Check.positive(rows, "rows");
    blockK = (int) Check.positive(columns, "columns");
    return this;
  }

  /**
   * Type of the arithmetic.
   *
   * @param value F32 or BF16
   * @return this
   */
  public ExpertWeights compute(Dtype value) {
    compute = Objects.requireNonNull(value);
    return this;
  }

  int hidden() {
    return size(first().shape()[1]);
  }

  private Tensor first() {
    if (gate.isEmpty() || gate.get(0).shape().length != 2) {
      throw Check.invalid("there is no gate of two dimensions; expected one for each expert");
    }
    return gate.get(0);
  }

  private static int size(long size) {
    if (size > Integer.MAX_VALUE) {
      throw Check.invalid("a size is " + size + "; expected at most 2^31 - 1");
    }
    return (int) size;
  }

  /** Checks every shape and type, which the library takes from the description alone. */
  Experts make(Device device) {
    int inter = size(first().shape()[0]);
    int hidden = hidden();
    int sharedInter = shared.isEmpty() ? 0 : size(shared.get(0).shape()[0]);
    try (RawExpertWeights raw = new RawExpertWeights(); RawExpertsDesc desc = new RawExpertsDesc()) {
      desc.setHidden(hidden);
      desc.setInter(inter);
      desc.setSharedInter(sharedInter);
      desc.setDtype(first().dtype().number());
      desc.setCompute(compute.number());
      desc.setBlockN(blockN);
      desc.setBlockK(blockK);
      add(raw, 0, gate, "gate", inter, hidden);
      add(raw, 1, up, "up", inter, hidden);
      add(raw, 2, down, "down", hidden, inter);
      if (!shared.isEmpty()) {
        addOne(raw, 6, shared.get(0), "shared gate", first().dtype(), sharedInter, hidden);
        addOne(raw, 7, shared.get(1), "shared up", first().dtype(), sharedInter, hidden);
        addOne(raw, 8, shared.get(2), "shared down", first().dtype(), hidden, sharedInter);
      }
      if (!scales.isEmpty()) {
        desc.setScaleDtype(scaleType().number());
        addScales(raw, 3, scales.get(0), "gate scale", inter, hidden);
        addScales(raw, 4, scales.get(1), "up scale", inter, hidden);
        addScales(raw, 5, scales.get(2), "down scale", hidden, inter);
      }
      if (!sharedScales.isEmpty()) {
        addScale(raw, 9, sharedScales.get(0), "shared gate scale", sharedInter, hidden);
        addScale(raw, 10, sharedScales.get(1), "shared up scale", sharedInter, hidden);
        addScale(raw, 11, sharedScales.get(2), "shared down scale", hidden, sharedInter);
      }
      return new Experts(device, raw, desc, hidden);
    } finally {
      java.lang.ref.Reference.reachabilityFence(this);
    }
  }

  private Dtype scaleType() {
    if (scales.isEmpty() || scales.get(0).isEmpty()) {
      throw Check.invalid("there are no scales of the experts; expected one for each weight");
    }
    return scales.get(0).get(0).dtype();
  }

  private void add(RawExpertWeights raw, int group, List<Tensor> tensors, String name, long rows, long columns) {
    Check.elements(tensors.size(), name, gate.size(), "one for each expert");
    tensors.forEach(tensor -> addOne(raw, group, tensor, name, first().dtype(), rows, columns));
  }

  private void addScales(RawExpertWeights raw, int group, List<Tensor> tensors, String name, long n, long k) {
    Check.elements(tensors.size(), name, gate.size(), "one for each expert");
    tensors.forEach(tensor -> addScale(raw, group, tensor, name, n, k));
  }

  private void addScale(RawExpertWeights raw, int group, Tensor tensor, String name, long n, long k) {
    addOne(raw, group, tensor, name, scaleType(), (n + blockN - 1) / blockN, (k + blockK - 1) / blockK);
  }

  private static void addOne(
      RawExpertWeights raw, int group, Tensor tensor, String name, Dtype dtype, long rows, long columns) {
    if (!tensor.hasShape(rows, columns) || tensor.dtype() != dtype) {
      throw Check.invalid(name + " is " + tensor.dtype() + " of shape " + java.util.Arrays.toString(tensor.shape())
          + "; expected " + dtype + " of shape [" + rows + ", " + columns + "]");
    }
    raw.add(group, tensor.data());
  }
}
