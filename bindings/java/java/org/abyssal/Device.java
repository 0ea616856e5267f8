package org.abyssal;

/**
 * A device of a backend, with its worker threads or streams. Any thread may use it; calls that run work on one device
 * from several threads are served one after the other.
 */
public final class Device extends NativeDevice {
  Device(RawDeviceOptions options, String backend) {
    super(options, backend);
  }

  Device(long pointer) {
    super(pointer, true);
  }

  /**
   * Opens the best device there is.
   *
   * @return the device, to be closed by the caller
   */
  public static Device open() {
    return open(new DeviceOptions());
  }

  /**
   * Opens a device.
   *
   * @param options which, and how
   * @return the device, to be closed by the caller
   * @throws AbyssalException NOT_FOUND: no such backend or device; the text lists those that there are
   */
  public static Device open(DeviceOptions options) {
    return options.open();
  }

  /**
   * What the device is.
   *
   * @return names and sizes
   * @throws AbyssalException STATE: it is closed
   */
  public DeviceInfo info() {
    try (RawDeviceFacts facts = new RawDeviceFacts(this)) {
      RawDeviceInfo raw = facts.getNumbers();
      return new DeviceInfo(
          facts.getBackend(), facts.getName(), facts.getIsa(), (int) raw.getThreads(), raw.getMemoryBytes());
    }
  }

  @Override
  public String toString() {
    if (isClosed()) {
      return "Device[closed]";
    }
    DeviceInfo info = info();
    return "Device[" + info.backend() + ": " + info.name() + "]";
  }
}
