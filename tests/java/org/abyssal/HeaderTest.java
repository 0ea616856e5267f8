package org.abyssal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToIntFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Java's enums have every number of the C headers: one that is new in C is missed here. */
class HeaderTest {
  private static Map<String, Integer> constants(String prefix) throws IOException {
    Map<String, Integer> found = new TreeMap<>();
    for (String header : new String[] {"abyssal.h", "ops.h"}) {
      String text = Files.readString(Path.of(System.getProperty("abyssal.source"), "include/abyssal", header));
      Matcher matcher = Pattern.compile("\\b" + prefix + "_(\\w+) = (-?\\d+)").matcher(text);
      while (matcher.find()) {
        found.put(matcher.group(1), Integer.valueOf(matcher.group(2)));
      }
    }
    assertFalse(found.isEmpty(), prefix);
    return found;
  }

  private static <E extends Enum<E>> void check(Class<E> kind, String prefix, ToIntFunction<E> number)
      throws IOException {
    Map<String, Integer> ours = new TreeMap<>();
    for (E value : kind.getEnumConstants()) {
      if (!value.name().equals("UNKNOWN")) {
        ours.put(value.name(), number.applyAsInt(value));
      }
    }
    assertEquals(constants(prefix), ours, prefix);
  }

  @Test
  void enumsEqualTheHeaders() throws IOException {
    check(Status.class, "ABY_ERROR", Status::number);
    check(Dtype.class, "ABY_DTYPE", Dtype::number);
    check(Stage.class, "ABY_STAGE", Stage::number);
    check(Output.class, "ABY_OUTPUT", Output::number);
    check(EventKind.class, "ABY_EVENT", EventKind::number);
    check(TextKind.class, "ABY_TEXT", TextKind::number);
    check(FinishReason.class, "ABY_FINISH", FinishReason::number);
    check(Scoring.class, "ABY_SCORING", Scoring::number);
    check(TopkMethod.class, "ABY_TOPK", TopkMethod::number);
  }

  @Test
  void unknownNumbersAreUnknown() {
    assertEquals(Status.UNKNOWN, new AbyssalException(-999, "newer").status());
    assertEquals(-999, new AbyssalException(-999, "newer").statusNumber());
    assertEquals(Dtype.UNKNOWN, Dtype.of(12345));
    assertEquals(FinishReason.UNKNOWN, FinishReason.of(99));
  }
}
