package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.jar.JarFile;
import java.util.stream.Stream;
import org.abyssal.Abyssal;
import org.abyssal.BackendInfo;
import org.abyssal.Device;
import org.abyssal.DeviceInfo;
import org.abyssal.DeviceOptions;
import org.abyssal.Model;
import org.abyssal.ModelOptions;
import org.abyssal.Status;
import org.junit.jupiter.api.Test;

/** What is packaged, and the first calls of a program. */
class PackageTest {
  private static Path jar(String ending) {
    return Stream.of(System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"))
        .split(File.pathSeparator)).filter(path -> path.matches(".*/abyssal-[0-9.]+" + ending + "\\.jar"))
        .map(Path::of).findFirst().orElseThrow(() -> new AssertionError("not on the class path: " + ending));
  }

  private static Set<String> files(Path jar) throws IOException {
    try (JarFile file = new JarFile(jar.toFile())) {
      Set<String> names = new TreeSet<>();
      file.stream().filter(entry -> !entry.isDirectory()).forEach(entry -> names.add(entry.getName()));
      return names;
    }
  }

  @Test
  void theJarsAreWhatIsTested() {
    String place = Model.class.getProtectionDomain().getCodeSource().getLocation().getPath();
    assertEquals(jar("").toString(), place);
  }

  @Test
  void theJarsHoldWhatIsNeeded() throws IOException {
    String folder = "org/abyssal/native/linux-x86_64/";
    Set<String> natives = files(jar("-linux-x86_64"));
    assertTrue(natives.containsAll(Set.of(folder + "libabyssal.so.0", folder + "libabyssal_java.so",
        folder + "files.txt", "META-INF/LICENSE", "META-INF/LICENSES.txt")), natives.toString());
    for (String name : natives) {
      assertTrue(name.startsWith("META-INF/") || name.startsWith(folder), name);
    }
    for (String name : files(jar(""))) {
      assertTrue(name.startsWith("META-INF/") || name.matches("org/abyssal/[\\w$-]+\\.class"), name);
    }
    String licences = text(jar("-linux-x86_64"), "META-INF/LICENSES.txt");
    assertTrue(licences.contains("tokenizers 0.") && licences.contains("minijinja 2.") && licences.contains("xxHash"));
    assertEquals(natives.contains(folder + "libdnnl.so.3"), licences.contains("oneDNN"));
  }

  private static String text(Path jar, String name) throws IOException {
    try (JarFile file = new JarFile(jar.toFile())) {
      return new String(file.getInputStream(file.getEntry(name)).readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  @Test
  void nothingUnpackedIsLeft() throws IOException {
    Abyssal.version();
    try (Stream<Path> files = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
      String own = "libabyssal_java.so";
      List<Path> left = files.filter(path -> path.getFileName().toString().startsWith("abyssal"))
          .filter(path -> Files.exists(path.resolve(own))).toList();
      assertEquals(List.of(), left);
    }
  }

  @Test
  void versionAndDevices() throws IOException {
    String build = Files.readString(Support.SOURCE.resolve("CMakeLists.txt"));
    assertTrue(build.contains("project(abyssal VERSION " + Abyssal.version() + " "));
    List<String> names = Abyssal.backends().stream().map(BackendInfo::name).toList();
    assertTrue(names.contains("cpu") && names.contains("reference"), names.toString());
    try (Device device = Device.open(new DeviceOptions().backend("cpu").threads(1))) {
      DeviceInfo info = device.info();
      assertEquals("cpu", info.backend());
      assertEquals(1, info.threads());
      assertTrue(info.isa().contains("avx2") && info.memoryBytes() > 0);
      try (Model model = Model.open(Support.checkpoint("tiny-v2"), new ModelOptions().device(device))) {
        device.close();
        assertTrue(device.isClosed());
        assertFalse(model.device().isClosed());
        assertEquals(1, model.device().info().threads());
      }
    }
  }

  @Test
  void errorsTellWhatIsWrong() {
    String text = Support.fails(Status.NOT_FOUND, () -> Model.open(Path.of("/no/such/möbel"))).getMessage();
    assertTrue(text.contains("/no/such/möbel"), text);
    text = Support.fails(Status.NOT_FOUND, () -> Device.open(new DeviceOptions().backend("nothing"))).getMessage();
    assertTrue(text.contains("nothing") && text.contains("cpu"), text);
    Support.fails(Status.INVALID_ARGUMENT, () -> new ModelOptions().threads(-1));
    Support.fails(Status.INVALID_ARGUMENT, () -> new ModelOptions().absorbBelow(1L << 32));
    try (Device device = Device.open()) {
      ModelOptions both = new ModelOptions().device(device).backend("cpu");
      Support.fails(Status.INVALID_ARGUMENT, () -> Model.open(Support.checkpoint("tiny-v2"), both));
    }
  }
}
