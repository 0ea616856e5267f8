package org.abyssal;

import static org.junit.jupiter.api.Assertions.*;
import java.nio.file.*;
import java.util.*;
import org.junit.jupiter.api.Test;

class SmokeTest {
  @Test
  void chat() {
    try (Model m = Model.open(Path.of(System.getProperty("abyssal.source"), "tests/data/conformance/tiny-v3"))) {
      System.out.println(m + " " + m.info());
      System.out.println(m.chat(List.of(Message.user("Hello")), new ChatOptions(), new GenerationOptions().maxTokens(16).temperature(0)));
    }
  }
}
