package org.abyssal.tests;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.abyssal.Model;
import org.abyssal.ModelOptions;
import org.abyssal.ProfilePart;
import org.abyssal.Sequence;
import org.abyssal.Status;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What evaluations spend their time on. */
class ProfileTest {
  @ParameterizedTest
  @ValueSource(strings = {"cpu", "reference"})
  void namesEveryPartAndChangesNothing(String backend) {
    ModelOptions options = new ModelOptions().backend(backend).threads(1).cacheTokens(512);
    Model model = Model.open(Support.checkpoint("tiny-v3"), options);
    try (model; Sequence plain = model.sequence(); Sequence measured = model.sequence()) {
      int[] tokens = Support.ramp(12, 1);
      plain.eval(tokens);
      assertTrue(model.profileParts().stream().allMatch(part -> part.calls() == 0));
      model.profile(true);
      long begin = System.nanoTime();
      measured.eval(tokens);
      double wall = (System.nanoTime() - begin) / 1e9;
      model.profile(false);
      assertArrayEquals(plain.logits(), measured.logits());

      List<ProfilePart> all = model.profileParts();
      Map<String, ProfilePart> parts = all.stream().collect(Collectors.toMap(ProfilePart::name, Function.identity()));
      assertEquals(Set.of("embedding", "norms", "attention projections", "attention", "router", "experts", "mlp",
          "head", "sampling"), parts.keySet());
      assertEquals(3, parts.get("experts").calls()); // 12 tokens, 5 experts each, three matrices of 48 x 128
      assertEquals(2L * 12 * 3 * 5 * 3 * 48 * 128, parts.get("experts").flops());
      assertTrue(parts.get("experts").bytes() > 0);
      assertEquals(6, parts.get("router").calls());
      assertEquals(0, parts.get("sampling").calls());
      assertEquals(0, parts.get("norms").flops());
      double seconds = all.stream().mapToDouble(ProfilePart::seconds).sum();
      assertTrue(seconds > 0 && seconds <= wall, seconds + " of " + wall);

      plain.eval(tokens);
      assertEquals(all, model.profileParts()); // stopped
      model.profile(true);
      assertTrue(model.profileParts().stream().allMatch(part -> part.calls() == 0)); // begun anew
    }
    Support.fails(Status.STATE, () -> model.profile(true));
    Support.fails(Status.STATE, model::profileParts);
  }
}
