package org.abyssal;

import static java.util.Map.entry;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.ToIntFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Java has every number and every field of the C headers: what is new in C is missed here. */
class HeaderTest {
  // Fields that Java spells in another way, or several; an empty list for those that only C needs.
  private static final Map<String, List<String>> SPELT = Map.ofEntries(
      entry("progress_context", List.of()), entry("warning_context", List.of()),
      entry("stop_token_count", List.of()), entry("mask_count", List.of()), entry("cancel", List.of("cancellation")),
      // An event has one element of each column.
      entry("count", List.of()), entry("text_begin", List.of()), entry("prompt_tokens", List.of("promptDone")),
      entry("tools_json", List.of("tools")), entry("variables_json", List.of("variables")),
      entry("keep", List.of("hidden", "hiddenLayers", "routes")),
      // Routing: the numbers of rows and experts are those of the arrays.
      entry("tokens", List.of()), entry("experts", List.of("route")), entry("logits", List.of("route")),
      entry("index", List.of("route")), entry("weight", List.of("route")),
      entry("n_group", List.of("groups")), entry("topk_group", List.of("groups")),
      entry("topk_method", List.of("method")));

  private static String headers() throws IOException {
    StringBuilder text = new StringBuilder();
    for (String header : new String[] {"abyssal.h", "ops.h"}) {
      text.append(Files.readString(Path.of(System.getProperty("abyssal.source"), "include/abyssal", header)));
    }
    return text.toString();
  }

  private static Map<String, Integer> constants(String prefix) throws IOException {
    Map<String, Integer> found = new TreeMap<>();
    Matcher matcher = Pattern.compile("\\b" + prefix + "_(\\w+) = (-?\\d+)").matcher(headers());
    while (matcher.find()) {
      found.put(matcher.group(1), Integer.valueOf(matcher.group(2)));
    }
    assertFalse(found.isEmpty(), prefix);
    return found;
  }

  private static List<String> fields(String struct) throws IOException {
    Matcher body = Pattern.compile("typedef struct " + struct + " \\{(.*?)\\} " + struct + ";", Pattern.DOTALL)
        .matcher(headers());
    assertTrue(body.find(), struct);
    Matcher field = Pattern.compile("(\\w+)(\\[\\w+\\])?;").matcher(body.group(1).replaceAll("(?s)/\\*.*?\\*/", ""));
    List<String> names = new ArrayList<>();
    while (field.find()) {
      names.add(field.group(1));
    }
    names.removeAll(List.of("struct_size", "reserved"));
    assertFalse(names.isEmpty(), struct);
    return names;
  }

  private static String camel(String name) {
    return Pattern.compile("_(\\w)").matcher(name).replaceAll(match -> match.group(1).toUpperCase(Locale.ROOT));
  }

  /** A public method of the class for each field. */
  private static void checkFields(Class<?> kind, String struct) throws IOException {
    Set<String> ours = new TreeSet<>();
    for (Method method : kind.getDeclaredMethods()) {
      if (Modifier.isPublic(method.getModifiers())) {
        ours.add(method.getName());
      }
    }
    for (String field : fields(struct)) {
      boolean there = ours.contains(camel(field));
      assertTrue(there || SPELT.containsKey(field) && ours.containsAll(SPELT.get(field)),
          () -> kind.getSimpleName() + " lacks " + field + " of " + struct);
    }
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
    check(Weights.class, "ABY_WEIGHTS", Weights::number);
    check(Attention.class, "ABY_ATTENTION", Attention::number);
    check(ConstraintKind.class, "ABY_CONSTRAINT", ConstraintKind::number);
  }

  @Test
  void optionsAndResultsHaveEveryField() throws IOException {
    checkFields(DeviceOptions.class, "aby_device_options");
    checkFields(ModelOptions.class, "aby_model_options");
    checkFields(ChatOptions.class, "aby_chat_options");
    checkFields(EvalOptions.class, "aby_eval_options");
    checkFields(ReplyOptions.class, "aby_reply_options");
    checkFields(Router.class, "aby_moe_route_args");
    checkFields(BackendInfo.class, "aby_backend_info");
    checkFields(DeviceInfo.class, "aby_device_info");
    checkFields(ModelPlan.class, "aby_model_plan");
    checkFields(ModelInfo.class, "aby_model_info");
    checkFields(ProfilePart.class, "aby_profile_part");
    checkFields(Event.class, "aby_events");
  }

  @Test
  void unknownNumbersAreUnknown() {
    assertEquals(Status.UNKNOWN, new AbyssalException(-999, "newer").status());
    assertEquals(-999, new AbyssalException(-999, "newer").statusNumber());
    assertEquals(Dtype.UNKNOWN, Dtype.of(12345));
    assertEquals(FinishReason.UNKNOWN, FinishReason.of(99));
  }
}
