package org.abyssal;

import java.io.IOException;
import java.io.InputStream;
import java.lang.ref.Cleaner;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Finds and loads the native libraries, once. */
final class NativeLibrary {
  /** Deletes the native half of objects that Java has no use for any more. */
  static final Cleaner CLEANER = Cleaner.create();

  private static final String PROPERTY = "org.abyssal.library";
  private static final String JNI_LIBRARY = "libabyssal_java.so";

  private NativeLibrary() {}

  static void load() {
    String folder = System.getProperty(PROPERTY);
    if (folder != null) {
      System.load(Path.of(folder, JNI_LIBRARY).toAbsolutePath().toString());
      return;
    }
    try {
      loadFromClassPath("/org/abyssal/native/" + platform() + "/");
    } catch (IOException error) {
      throw linkError("the native libraries could not be unpacked: " + error, error);
    }
  }

  private static String platform() {
    String arch = System.getProperty("os.arch").equals("amd64") ? "x86_64" : System.getProperty("os.arch");
    return System.getProperty("os.name").toLowerCase(Locale.ROOT) + "-" + arch;
  }

  /** Unpacks into a folder that only this user can read. Loaded libraries live on without their files. */
  private static void loadFromClassPath(String place) throws IOException {
    List<String> names = names(place);
    Path folder = Files.createTempDirectory("abyssal");
    List<Path> files = new ArrayList<>();
    try {
      for (String name : names) {
        Path file = folder.resolve(name);
        files.add(file);
        try (InputStream from = NativeLibrary.class.getResourceAsStream(place + name)) {
          if (from == null) {
            throw new IOException(place + name + " is missing on the class path");
          }
          Files.copy(from, file);
        }
      }
      System.load(folder.resolve(JNI_LIBRARY).toString()); // finds the others beside itself
    } catch (UnsatisfiedLinkError error) {
      throw linkError(error.getMessage(), error);
    } finally {
      for (Path file : files) {
        Files.deleteIfExists(file);
      }
      Files.deleteIfExists(folder);
    }
  }

  private static List<String> names(String place) throws IOException {
    try (InputStream index = NativeLibrary.class.getResourceAsStream(place + "files.txt")) {
      if (index == null) {
        throw linkError("there are no native libraries for " + platform() + " on the class path", null);
      }
      return new String(index.readAllBytes(), StandardCharsets.UTF_8).lines().filter(line -> !line.isEmpty()).toList();
    }
  }

  private static UnsatisfiedLinkError linkError(String text, Throwable cause) {
    UnsatisfiedLinkError error = new UnsatisfiedLinkError(text + ". Add the artifact org.abyssal:abyssal with the"
        + " classifier linux-x86_64 to the class path, or give the libraries' folder with -D" + PROPERTY + "=FOLDER.");
    error.initCause(cause);
    return error;
  }
}
