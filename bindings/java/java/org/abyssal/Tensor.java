package org.abyssal;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Objects;

/**
 * A named array for opening or updating a model, or for {@link Experts} and {@link Mla}: row-major, contiguous, in
 * native byte order and in a direct buffer, so at most 2^31 - 1 bytes. Calls that take tensors copy them.
 */
public final class Tensor {
  private final String name;
  private final Dtype dtype;
  private final ByteBuffer data;
  private final long[] shape;

  private Tensor(String name, Dtype dtype, ByteBuffer data, long[] shape) {
    this.name = name;
    this.dtype = dtype;
    this.data = data;
    this.shape = shape;
  }

  /**
   * A tensor of any type.
   *
   * @param name as the published checkpoints name it, such as "model.norm.weight"
   * @param dtype type of its elements, whose bits data holds
   * @param data from its position to its limit; a direct buffer is used where it is, any other copied
   * @param shape 1 to 4 sizes
   * @return the tensor
   * @throws AbyssalException INVALID_ARGUMENT: the bytes are not those of the shape
   */
  public static Tensor of(String name, Dtype dtype, ByteBuffer data, long... shape) {
    Objects.requireNonNull(name);
    for (long size : shape) {
      Check.notNegative(size, "a size of " + name);
    }
    if (dtype.bytes(shape) != data.remaining()) {
      throw Check.invalid(name + " holds " + data.remaining() + " bytes; expected " + dtype.bytes(shape) + " for "
          + dtype + " of shape " + java.util.Arrays.toString(shape));
    }
    ByteBuffer direct = data.isDirect() ? data.slice() : ByteBuffer.allocateDirect(data.remaining()).put(data.slice());
    return new Tensor(name, dtype, direct, shape.clone());
  }

  /**
   * A tensor of type F32.
   *
   * @param name as the published checkpoints name it
   * @param values its elements, copied
   * @param shape 1 to 4 sizes
   * @return the tensor
   * @throws AbyssalException INVALID_ARGUMENT: there are not as many elements as the shape says
   */
  public static Tensor of(String name, float[] values, long... shape) {
    ByteBuffer data = ByteBuffer.allocateDirect(Math.multiplyExact(values.length, 4)).order(ByteOrder.nativeOrder());
    data.asFloatBuffer().put(values);
    return of(name, Dtype.F32, data, shape);
  }

  /**
   * The name.
   *
   * @return as given
   */
  public String name() {
    return name;
  }

  /**
   * The type of the elements.
   *
   * @return as given
   */
  public Dtype dtype() {
    return dtype;
  }

  /**
   * The sizes.
   *
   * @return a new array
   */
  public long[] shape() {
    return shape.clone();
  }

  ByteBuffer data() {
    return data;
  }

  boolean hasShape(long... expected) {
    return java.util.Arrays.equals(shape, expected);
  }

  static RawTensors raw(Iterable<Tensor> tensors) {
    RawTensors raw = new RawTensors();
    for (Tensor tensor : tensors) {
      raw.add(tensor.name, tensor.dtype.number(), tensor.data, tensor.shape);
    }
    return raw;
  }
}
