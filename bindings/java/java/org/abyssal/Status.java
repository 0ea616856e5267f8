package org.abyssal;

/** Why a call failed, with the C API's names and numbers, which never change. */
public enum Status {
  /** A bug in Abyssal. Please report the text. */
  INTERNAL(-1),
  /** A value out of range, or a contradiction between arguments. */
  INVALID_ARGUMENT(-2),
  /** The Java classes and the native library are of different versions. */
  STRUCT_SIZE(-3),
  /** Host or device memory is exhausted. */
  NO_MEMORY(-4),
  /** A file, tensor, backend or device does not exist. */
  NOT_FOUND(-5),
  /** The operating system could not read or map a file. */
  IO(-6),
  /** A file is damaged, truncated or contradicts itself. */
  FORMAT(-7),
  /** Valid, but this build cannot do it (architecture, dtype, option). */
  UNSUPPORTED(-8),
  /** Cancelled by the caller; the state is as before the call. */
  CANCELLED(-9),
  /** The object is in use by a call on another thread, or a reply is being written onto the sequence. */
  BUSY(-10),
  /** The tokens never fit: into the model's context, or the whole cache. */
  CONTEXT_FULL(-11),
  /** The chat template, or the messages given to it, are in error. */
  TEMPLATE(-12),
  /** Text is not valid UTF-16 or UTF-8. */
  ENCODING(-13),
  /** The object is not in a state that allows this call (closed, result not kept, no tokenizer, ...). */
  STATE(-14),
  /** The backend or its device failed. */
  DEVICE(-15),
  /** An array is too small. No call of Java's fails with it. */
  TOO_SMALL(-16),
  /** The cache has no blocks free now: try again when other sequences have ended. */
  CACHE_FULL(-17),
  /** A status that this version of the Java classes does not know. */
  UNKNOWN(0);

  private final int number;

  Status(int number) {
    this.number = number;
  }

  /**
   * The C API's number.
   *
   * @return a negative number; 0 for UNKNOWN
   */
  public int number() {
    return number;
  }

  static Status of(int number) {
    for (Status status : values()) {
      if (status.number == number) {
        return status;
      }
    }
    return UNKNOWN;
  }
}
