package org.abyssal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A step crosses from native code once, with all of its events. */
class StepTest {
  private static final long LONG = 10_000_000; // microseconds

  /** How many events each step had; the events go to out. */
  private static List<Integer> steps(Model model, long microseconds, List<Event> out) {
    List<Integer> counts = new ArrayList<>();
    ReplyOptions options = new ReplyOptions().temperature(1).topP(1).seed(9).ignoreEos(true).maxTokens(40).logprobs(true);
    try (Sequence on = model.sequence(); Generation reply = options.begin(on, new int[] {5, 6, 7}, true)) {
      do {
        Step step = reply.step(microseconds);
        int before = out.size();
        while (step.hasNext()) {
          out.add(step.next());
        }
        counts.add(out.size() - before);
      } while (out.get(out.size() - 1).kind() != EventKind.END);
    }
    return counts;
  }

  @Test
  void oneStepHasManyEvents() {
    Path path = Path.of(System.getProperty("abyssal.source"), "tests/data/conformance/tiny-v3");
    try (Model model = Model.open(path, new ModelOptions().cacheTokens(512))) {
      List<Event> one = new ArrayList<>();
      List<Event> many = new ArrayList<>();
      assertTrue(steps(model, 0, one).stream().allMatch(count -> count == 1));
      assertEquals(List.of(1, 1, 40), steps(model, LONG, many)); // the prompt, the first token, and all others
      assertEquals(one, many);
      assertTrue(one.stream().anyMatch(event -> event.text().chars().anyMatch(unit -> unit > 127)));
      assertFalse(Step.NONE.hasNext());
    }
  }
}
