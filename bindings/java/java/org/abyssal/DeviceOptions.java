package org.abyssal;

/** Which device to open, and how. */
public final class DeviceOptions {
  String backend;
  long threads;
  long index;

  /** The defaults. */
  public DeviceOptions() {}

  /**
   * Name of a backend, or the path of a backend module.
   *
   * @param value a name of {@link Abyssal#backends()}, a path with a "/", or null for the best one present
   * @return this
   */
  public DeviceOptions backend(String value) {
    backend = value;
    return this;
  }

  /**
   * Worker threads of a CPU backend, the calling thread included.
   *
   * @param value 0: one per core
   * @return this
   */
  public DeviceOptions threads(long value) {
    threads = Check.unsigned32(value, "threads");
    return this;
  }

  /**
   * Which of the backend's devices.
   *
   * @param value 0 is the first
   * @return this
   */
  public DeviceOptions index(long value) {
    index = Check.unsigned32(value, "index");
    return this;
  }

  Device open() {
    try (RawDeviceOptions raw = new RawDeviceOptions()) {
      raw.setIndex(index);
      raw.setThreads(threads);
      return new Device(raw, backend);
    }
  }
}
