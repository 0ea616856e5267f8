package org.abyssal;

import java.util.ArrayList;
import java.util.List;

/** What the library is and offers. */
public final class Abyssal extends NativeFunctions {
  private Abyssal() {}

  /**
   * The backends built into the library, best first.
   *
   * @return their names and devices
   */
  public static List<BackendInfo> backends() {
    List<BackendInfo> all = new ArrayList<>();
    for (long i = 0; i < backendCount(); ++i) {
      all.add(new BackendInfo(backendName(i), (int) backendDevices(i)));
    }
    return List.copyOf(all);
  }
}
