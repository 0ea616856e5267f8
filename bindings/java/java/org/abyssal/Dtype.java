package org.abyssal;

/**
 * Element type of a tensor. A row in a block format, of quantised weights in GGUF files, is a whole number of
 * blocks.
 */
public enum Dtype {
  /** In options: the library chooses. Never the type of a tensor. */
  AUTO(0, 1, 0),
  /** IEEE single precision. */
  F32(1, 1, 4),
  /** IEEE half precision. */
  F16(2, 1, 2),
  /** The upper half of F32. */
  BF16(3, 1, 2),
  /** 4 exponent bits, 3 mantissa bits, no infinity. */
  F8_E4M3(4, 1, 1),
  /** A power of two: scales of newer fp8 checkpoints. */
  F8_E8M0(5, 1, 1),
  /** 8-bit integers. */
  I8(6, 1, 1),
  /** 8-bit integers without a sign. */
  U8(7, 1, 1),
  /** 32-bit integers. */
  I32(8, 1, 4),
  /** 64-bit integers. */
  I64(9, 1, 8),
  /** Activations rounded to 16 bits: how products with weights of 8 bits take them. Never the type of a tensor. */
  I16(10, 1, 0),
  /** Block format: 32 elements in 18 bytes. */
  Q4_0(20, 32, 18),
  /** Block format: 32 elements in 20 bytes. */
  Q4_1(21, 32, 20),
  /** Block format: 32 elements in 22 bytes. */
  Q5_0(22, 32, 22),
  /** Block format: 32 elements in 24 bytes. */
  Q5_1(23, 32, 24),
  /** Block format: 32 elements in 34 bytes. */
  Q8_0(24, 32, 34),
  /** Block format: 256 elements in 84 bytes. */
  Q2_K(25, 256, 84),
  /** Block format: 256 elements in 110 bytes. */
  Q3_K(26, 256, 110),
  /** Block format: 256 elements in 144 bytes. */
  Q4_K(27, 256, 144),
  /** Block format: 256 elements in 176 bytes. */
  Q5_K(28, 256, 176),
  /** Block format: 256 elements in 210 bytes. */
  Q6_K(29, 256, 210),
  /** Block format: 32 elements in 18 bytes. */
  IQ4_NL(30, 32, 18),
  /** Block format: 256 elements in 136 bytes. */
  IQ4_XS(31, 256, 136),
  /** Block format: 32 elements in 17 bytes. */
  MXFP4(32, 32, 17),
  /** One that is newer than these classes. */
  UNKNOWN(-1, 1, 0);

  private final int number;
  private final int blockElements;
  private final int blockBytes;

  Dtype(int number, int blockElements, int blockBytes) {
    this.number = number;
    this.blockElements = blockElements;
    this.blockBytes = blockBytes;
  }

  int number() {
    return number;
  }

  /** Bytes of a tensor of this type, or -1 when its rows are not whole blocks or it is too large to count. */
  long bytes(long[] shape) {
    if (blockBytes == 0 || shape.length == 0 || shape[shape.length - 1] % blockElements != 0) {
      return -1;
    }
    try {
      long blocks = shape[shape.length - 1] / blockElements;
      for (int i = 0; i < shape.length - 1; ++i) {
        blocks = Math.multiplyExact(blocks, shape[i]);
      }
      return Math.multiplyExact(blocks, blockBytes);
    } catch (ArithmeticException overflow) {
      return -1;
    }
  }

  static Dtype of(int number) {
    for (Dtype value : values()) {
      if (value.number == number) {
        return value;
      }
    }
    return UNKNOWN;
  }
}
