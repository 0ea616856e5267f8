package org.abyssal;

import java.util.ArrayList;
import java.util.List;

/**
 * What the evaluations of a model spent on one part of their work since its profile was started.
 *
 * @param name "embedding", "norms" (and the residual's additions), "attention projections" (for MLA with the norms
 *     inside them, RoPE and the writing of cached rows), "attention" (for grouped-query attention with those),
 *     "router", "experts" (routed and shared), "mlp" (of dense layers), "head" (with the final norm) or "sampling"
 *     (of replies)
 * @param calls how often it ran
 * @param seconds that it took in all
 * @param flops of its products, two for a multiplication and its addition; 0 for parts that have none
 * @param bytes of the weights and cached rows that those products must read, each counted once a call; of experts, as
 *     many as the tokens of a call can reach
 */
public record ProfilePart(
    String name,
    long calls,
    double seconds,
    long flops,
    long bytes) {

  static List<ProfilePart> of(NativeModel model) {
    List<ProfilePart> all = new ArrayList<>();
    try (RawProfile profile = new RawProfile(model)) {
      for (long i = 0; i < profile.size(); ++i) {
        RawProfilePart raw = profile.part(i);
        all.add(new ProfilePart(profile.name(i), raw.getCalls(), raw.getSeconds(), raw.getFlops(), raw.getBytes()));
      }
    }
    return List.copyOf(all);
  }
}
