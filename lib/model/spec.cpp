#include "model/spec.h"

namespace abyssal {

RoutedExperts ModelSpec::routed() const noexcept {
  for (const LayerSpec &layer : layers) {
    if (const RoutedExperts routed = layer.feed_forward->routed(); routed.experts > 0)
      return routed;
  }
  return {};
}

std::vector<LayerSpec> ModelSpec::all_layers(bool with_mtp) const {
  std::vector<LayerSpec> all = layers;
  if (with_mtp && mtp)
    all.push_back(*mtp);
  return all;
}

} // namespace abyssal
