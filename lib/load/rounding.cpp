#include "load/rounding.h"

#include "base/block_quantise.h"
#include "load/weight_loader.h"
#include "model/model_weights.h"
#include "weights/quantised_source.h"

#include <algorithm>

namespace abyssal {

namespace {

// Walks the weights and notes those to round.
class QuantisableVisitor final : public WeightReader {
public:
  QuantisableVisitor(const TensorSource &source, const ModelSpec &spec, aby_weights_kind weights, QuantiseList &list)
      : WeightReader(nullptr, source, {}, spec.fp8.block_n, spec.fp8.block_k, spec.fp8.enabled), weights_(weights),
        list_(list) {}

  WeightPtr take(const WeightSpec &spec) override {
    prepare(spec); // checks it
    if (spec.use == ABK_USE_MLA_KV_B)
      take_kv_b(spec);
    else if (spec.use == ABK_USE_MATRIX && !spec.outer && !spec.repeated && fits(spec.k) &&
             std::all_of(spec.names.begin(), spec.names.end(), [&](const auto &name) { return is_plain(name); }))
      for (const std::string &name : spec.names)
        list_.matrices.emplace(name, format_of(name));
    return nullptr;
  }

private:
  // Attention and the first layer are a small part of a model's weights, and much of what is lost where they have 4
  // bits: what the first layer is off by goes through all others, and decides every route.
  aby_dtype format_of(const std::string &name) const {
    const bool small = name.find(".self_attn.") != std::string::npos || name.starts_with("model.layers.0.");
    return weights_ == ABY_WEIGHTS_INT8 || small ? ABY_DTYPE_Q8_0 : ABY_DTYPE_Q4_0;
  }
  static bool fits(std::int64_t k) noexcept { return k % kQuantBlock == 0; }
  bool is_plain(const std::string &name) const { return !source().stored(name).quantised(); }

  void take_kv_b(const WeightSpec &spec) {
    const std::string &name = spec.names.front();
    if (fits(spec.k) && fits(spec.qk_nope) && is_plain(name))
      list_.kv_b[name] = {format_of(name), spec.heads, spec.qk_nope, spec.v_dim, spec.k};
  }

  aby_weights_kind weights_;
  QuantiseList &list_;
};

} // namespace

std::shared_ptr<const TensorSource> quantised_source(std::shared_ptr<const TensorSource> source, const ModelSpec &spec,
                                                     bool mtp, aby_weights_kind weights, unsigned threads) {
  if (weights == ABY_WEIGHTS_STORED)
    return source;
  QuantiseList list;
  list.scale_n = spec.fp8.block_n;
  list.scale_k = spec.fp8.block_k;
  list.threads = threads;
  QuantisableVisitor visitor(*source, spec, weights, list);
  visit_weights(spec, mtp, visitor);
  return quantise_source(std::move(source), std::move(list));
}

} // namespace abyssal
