package org.abyssal;

import java.nio.file.Path;
import java.util.Objects;
import java.util.function.Consumer;

/** How a model is opened. */
public final class ModelOptions {
  Device device;
  String backend;
  long threads;
  Dtype activations = Dtype.AUTO;
  Dtype cacheDtype = Dtype.AUTO;
  Weights weights = Weights.STORED;
  Attention attention = Attention.AUTO;
  long cacheTokens;
  long absorbBelow;
  boolean mtp;
  Path tokenizer;
  Path packedCache;
  boolean packedCacheCheck;
  Progress progress;
  Consumer<String> warning;
  CancellationToken cancellation;

  /** The defaults. */
  public ModelOptions() {}

  /**
   * Where to run.
   *
   * @param value a device; null: one is opened from backend and threads
   * @return this
   */
  public ModelOptions device(Device value) {
    device = value;
    return this;
  }

  /**
   * Backend, when there is no device.
   *
   * @param value as in {@link DeviceOptions#backend(String)}
   * @return this
   */
  public ModelOptions backend(String value) {
    backend = value;
    return this;
  }

  /**
   * Worker threads, when there is no device.
   *
   * @param value 0: one per core
   * @return this
   */
  public ModelOptions threads(long value) {
    threads = Check.unsigned32(value, "threads");
    return this;
  }

  /**
   * Type of activations.
   *
   * @param value AUTO: BF16 where most weights are stored in BF16, F16 or F8_E4M3 and none is quantised, else F32; and
   *     in products with quantised weights rounded to int8 with a scale for each 32, to int16 where those stand out,
   *     or, where weights is INT8, to int16. F32: everywhere, slow for quantised weights. BF16: as AUTO with bfloat16
   *     whatever is stored. I8, I16: as AUTO with this rounding for quantised weights
   * @return this
   */
  public ModelOptions activations(Dtype value) {
    activations = Objects.requireNonNull(value);
    return this;
  }

  /**
   * Type of cached rows.
   *
   * @param value F32, BF16, I8 (a float scale for each 64 values, and k_rope of MLA in BF16: 58 % of the bytes of BF16
   *     for kv_lora_rank 512), or AUTO: BF16 for quantised weights unless activations are F32, else that of activations
   * @return this
   */
  public ModelOptions cacheDtype(Dtype value) {
    cacheDtype = Objects.requireNonNull(value);
    return this;
  }

  /**
   * How weights are held.
   *
   * @param value INT8, INT4: matrices that are stored in F32, F16, BF16 or F8_E4M3 are rounded while they are loaded,
   *     one at a time. As stored stay: what the checkpoint has in a block format already, the router, norms, embedding
   *     and head, and matrices whose rows are no multiple of 32
   * @return this
   */
  public ModelOptions weights(Weights value) {
    weights = Objects.requireNonNull(value);
    return this;
  }

  /**
   * The form of MLA attention; grouped-query attention has one form.
   *
   * @param value other than AUTO, absorbBelow must be 0
   * @return this
   */
  public ModelOptions attention(Attention value) {
    attention = Objects.requireNonNull(value);
    return this;
  }

  /**
   * Most tokens that the cache of all sequences together holds. It grows on demand.
   *
   * @param value rounded up to whole blocks of 64. 0: as many as a quarter of the device's memory holds, and at least
   *     the smaller of the model's context and 32768
   * @return this
   */
  public ModelOptions cacheTokens(long value) {
    cacheTokens = Check.notNegative(value, "cacheTokens");
    return this;
  }

  /**
   * MLA attention is absorbed for sequences that bring fewer new tokens than this.
   *
   * @param value 0: 128. 1: never absorbed. 2^32 - 1: always
   * @return this
   */
  public ModelOptions absorbBelow(long value) {
    absorbBelow = Check.unsigned32(value, "absorbBelow");
    return this;
  }

  /**
   * Whether to load the multi-token-prediction layer too.
   *
   * @param value true: UNSUPPORTED if there is none
   * @return this
   */
  public ModelOptions mtp(boolean value) {
    mtp = value;
    return this;
  }

  /**
   * Folder with tokenizer.json and tokenizer_config.json.
   *
   * @param value null: the checkpoint's own
   * @return this
   */
  public ModelOptions tokenizer(Path value) {
    tokenizer = value;
    return this;
  }

  /**
   * Folder for files that hold weights as the backend arranges them, so that the next opening maps them instead of
   * making them again. A file of other sources, options or another library is made anew.
   *
   * @param value Path.of(""): beside the checkpoint; null: none
   * @return this
   */
  public ModelOptions packedCache(Path value) {
    packedCache = value;
    return this;
  }

  /**
   * Whether every byte that is taken from the packed cache is checked by its hash, which reads the whole file.
   *
   * @param value false: its header and index are checked
   * @return this
   */
  public ModelOptions packedCacheCheck(boolean value) {
    packedCacheCheck = value;
    return this;
  }

  /**
   * Called while the model is opened, on the thread that opens.
   *
   * @param value null: nobody
   * @return this
   */
  public ModelOptions progress(Progress value) {
    progress = value;
    return this;
  }

  /**
   * Hears of what is no error of the opening: a packed cache that cannot be read or written. Called on the thread that
   * opens; an exception ends the opening and is passed on.
   *
   * @param value null: the System.Logger of the name org.abyssal, at level WARNING
   * @return this
   */
  public ModelOptions warning(Consumer<String> value) {
    warning = value;
    return this;
  }

  /**
   * Cancels the opening.
   *
   * @param value a token, or null
   * @return this
   */
  public ModelOptions cancellation(CancellationToken value) {
    cancellation = value;
    return this;
  }

  RawModelSetup setup() {
    if (device != null && backend != null) {
      throw new AbyssalException(Status.INVALID_ARGUMENT,
          "device and backend are both given; a device has its backend");
    }
    try (RawModelOptions raw = new RawModelOptions()) {
      raw.setThreads(threads);
      raw.setActivations(activations.number());
      raw.setCacheDtype(cacheDtype.number());
      raw.setCacheTokens(cacheTokens);
      raw.setAbsorbBelow(absorbBelow);
      raw.setMtp(mtp ? 1 : 0);
      raw.setWeights(weights.number());
      raw.setAttention(attention.number());
      raw.setPackedCacheCheck(packedCacheCheck ? 1 : 0);
      return new RawModelSetup(raw, device, backend, text(tokenizer), text(packedCache));
    }
  }

  private static String text(Path path) {
    return path == null ? null : path.toString();
  }
}
