package org.abyssal;

/** How a model is opened. */
public final class ModelOptions {
  Device device;
  String backend;
  long threads;
  Dtype activations = Dtype.AUTO;
  Dtype cacheDtype = Dtype.AUTO;
  long cacheTokens;
  long absorbBelow;
  boolean mtp;
  java.nio.file.Path tokenizer;
  Progress progress;
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
   * @param value AUTO: F32, but rounded to int8 in blocks of 128 for products with quantised weights; F32 everywhere;
   *     or BF16, as AUTO with bfloat16
   * @return this
   */
  public ModelOptions activations(Dtype value) {
    activations = java.util.Objects.requireNonNull(value);
    return this;
  }

  /**
   * Type of cached rows.
   *
   * @param value F32, BF16, or AUTO: BF16 for quantised weights unless activations are F32, else that of activations
   * @return this
   */
  public ModelOptions cacheDtype(Dtype value) {
    cacheDtype = java.util.Objects.requireNonNull(value);
    return this;
  }

  /**
   * Tokens that the cache of all sequences together holds.
   *
   * @param value 0: the smaller of the model's context and 32768; rounded up to whole blocks of 64
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
  public ModelOptions tokenizer(java.nio.file.Path value) {
    tokenizer = value;
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
      return new RawModelSetup(raw, device, backend, tokenizer == null ? null : tokenizer.toString());
    }
  }
}
