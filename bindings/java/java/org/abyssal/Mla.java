package org.abyssal;

/** kv_b_proj of an MLA layer prepared on a device, in both its forms. Immutable; any thread may use it. */
public final class Mla extends NativeMla {
  private final Shape shape;

  /**
   * Sizes of an MLA layer, named as in the checkpoints' config.
   *
   * @param heads h
   * @param kvLoraRank kv_lora_rank
   * @param qkNopeHeadDim qk_nope_head_dim
   * @param qkRopeHeadDim qk_rope_head_dim
   * @param vHeadDim v_head_dim
   */
  public record Shape(int heads, int kvLoraRank, int qkNopeHeadDim, int qkRopeHeadDim, int vHeadDim) {}

  /**
   * A ragged batch of s sequences over a paged latent cache. The new tokens of sequence i are rows rowBegin[i] to
   * rowBegin[i + 1] - 1 of q, at positions context[i], context[i] + 1, ... Their own latent rows must be in the cache.
   *
   * @param rowBegin [s + 1], from 0
   * @param context [s]: cached tokens before the new ones
   * @param blockTable [s * n]: each sequence's blocks of 64 tokens, in order
   */
  public record Batch(int[] rowBegin, int[] context, int[] blockTable) {}

  private Mla(Device device, RawMlaDesc desc, Tensor weight, Shape shape) {
    super(device, desc, weight.data());
    this.shape = shape;
  }

  /**
   * Prepares a layer.
   *
   * @param device where
   * @param kvB [heads * (qkNopeHeadDim + vHeadDim), kvLoraRank], kv_b_proj.weight: F32, F16, BF16 or a block format;
   *     copied
   * @param shape its sizes
   * @param compute F32, or BF16 arithmetic
   * @return the layer, to be closed by the caller
   * @throws AbyssalException INVALID_ARGUMENT, UNSUPPORTED (type), NO_MEMORY, DEVICE
   */
  public static Mla of(Device device, Tensor kvB, Shape shape, Dtype compute) {
    long rows = (long) shape.heads * ((long) shape.qkNopeHeadDim + shape.vHeadDim);
    if (!kvB.hasShape(rows, shape.kvLoraRank)) {
      throw Check.invalid("kvB has shape " + java.util.Arrays.toString(kvB.shape()) + "; expected [" + rows + ", "
          + shape.kvLoraRank + "]");
    }
    try (RawMlaDesc raw = new RawMlaDesc()) {
      raw.setHeads(shape.heads);
      raw.setKvLoraRank(shape.kvLoraRank);
      raw.setQkNopeHeadDim(shape.qkNopeHeadDim);
      raw.setQkRopeHeadDim(shape.qkRopeHeadDim);
      raw.setVHeadDim(shape.vHeadDim);
      raw.setDtype(kvB.dtype().number());
      raw.setCompute(compute.number());
      return new Mla(device, raw, kvB, shape);
    }
  }

  /**
   * Causal multi-head latent attention, in absorbed form for sequences with fewer than 128 new tokens.
   *
   * @param q [b * heads * (nope + rope)], RoPE applied
   * @param cache [blocks, 64, kvLoraRank + rope], F32 or BF16: normed c_kv, then k_pe with RoPE
   * @param batch which rows and blocks belong to which sequence
   * @param scale of the scores, such as (nope + rope)^-0.5
   * @return [b * heads * vHeadDim], a new array
   * @throws AbyssalException INVALID_ARGUMENT, DEVICE
   */
  public float[] attend(float[] q, Tensor cache, Batch batch, float scale) {
    return attend(q, cache, batch, scale, 0);
  }

  /**
   * Causal multi-head latent attention.
   *
   * @param q [b * heads * (nope + rope)], RoPE applied
   * @param cache [blocks, 64, kvLoraRank + rope], F32 or BF16: normed c_kv, then k_pe with RoPE
   * @param batch which rows and blocks belong to which sequence
   * @param scale of the scores, such as (nope + rope)^-0.5
   * @param absorbBelow absorbed form for sequences with fewer new tokens than this; 0: 128
   * @return [b * heads * vHeadDim], a new array
   * @throws AbyssalException INVALID_ARGUMENT, DEVICE
   */
  public float[] attend(float[] q, Tensor cache, Batch batch, float scale, long absorbBelow) {
    int[] begins = batch.rowBegin.clone(); // checked before use: nobody may change it meanwhile
    if (begins.length == 0) {
      throw Check.invalid("rowBegin is empty; expected one element more than there are sequences");
    }
    int sequences = begins.length - 1;
    long[] cached = cache.shape();
    long rows = begins[sequences];
    long perRow = (long) shape.heads * ((long) shape.qkNopeHeadDim + shape.qkRopeHeadDim);
    Check.elements(q.length, "q", rows * perRow, "[b, heads, nope + rope]");
    Check.elements(batch.context.length, "context", sequences, "[s]");
    if (cached.length != 3 || !cache.hasShape(cached[0], 64, (long) shape.kvLoraRank + shape.qkRopeHeadDim)) {
      throw Check.invalid("cache has shape " + java.util.Arrays.toString(cached) + "; expected [blocks, 64, "
          + (shape.kvLoraRank + shape.qkRopeHeadDim) + "]");
    }
    int stride = sequences == 0 ? 0 : batch.blockTable.length / sequences;
    Check.elements(batch.blockTable.length, "blockTable", (long) stride * sequences, "[s, n]");
    try (RawMlaAttendArgs raw = new RawMlaAttendArgs()) {
      raw.setSequences(sequences);
      raw.setTableStride(stride);
      raw.setBlocks((int) cached[0]);
      raw.setCacheDtype(cache.dtype().number());
      raw.setScale(scale);
      raw.setAbsorbBelow(Check.unsigned32(absorbBelow, "absorbBelow"));
      return attendNow(raw, q, cache.data(), begins, batch.context, batch.blockTable,
          rows * shape.heads * shape.vHeadDim);
    } finally {
      java.lang.ref.Reference.reachabilityFence(cache);
    }
  }
}
