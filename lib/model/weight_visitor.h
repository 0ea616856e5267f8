// The weights of a model are written down once, by what loads them (model_weights.cpp and layers/), and walked for
// several purposes: to check the checkpoint, to plan memory, to say which are rounded, and to prepare them.
#pragma once

#include "device/device.h"

#include <cstdint>
#include <string>
#include <vector>

namespace abyssal {

// One prepared weight: one tensor, or the stacked matrices of all experts.
struct WeightSpec {
  abk_weight_use use = ABK_USE_MATRIX;
  std::vector<std::string> names; // published tensor names, one per stacked matrix
  std::int64_t n = 0;
  std::int64_t k = 1;     // 1 for vectors
  bool outer = false;     // embedding or head: not among the active parameters
  bool repeated = false;  // another weight holds the same values in another arrangement: not counted
  std::string whole = {}; // then the name of that weight's tensor
  std::string alias = {}; // the weight's own name where it is made of a tensor that another weight is named after
  std::int32_t heads = 0, qk_nope = 0, v_dim = 0; // ABK_USE_MLA_KV_B

  const std::string &key() const noexcept { return alias.empty() ? names.front() : alias; }
};

class WeightVisitor {
public:
  virtual ~WeightVisitor() = default;
  // Throws when a tensor is missing, or has a wrong shape or type. May return null (when only planning).
  virtual WeightPtr take(const WeightSpec &spec) = 0;
  // Whether the checkpoint has a tensor (for optional ones).
  virtual bool has(const std::string &name) const = 0;
  // Whether kv_b_proj is of use in halves: where products may be quantised.
  virtual bool takes_halves() const = 0;
  // Whether the device keeps the weight in a layout of its own: then a tensor that is read in another way too is
  // prepared twice. Throws as take.
  virtual bool repacks(const WeightSpec &spec) = 0;
};

// Takes weights below a prefix such as "model.layers.3.".
class WeightScope {
public:
  WeightScope(WeightVisitor &visitor, std::string prefix) : visitor_(visitor), prefix_(std::move(prefix)) {}

  WeightPtr matrix(const std::string &name, std::int64_t n, std::int64_t k) const {
    return take({.use = ABK_USE_MATRIX, .names = {prefix_ + name + ".weight"}, .n = n, .k = k});
  }
  // count matrices NAME.0.SUFFIX, NAME.1.SUFFIX, ...
  WeightPtr stacked(const std::string &name, const std::string &suffix, std::int32_t count, std::int64_t n,
                    std::int64_t k) const {
    WeightSpec spec{.use = ABK_USE_MATRIX, .names = {}, .n = n, .k = k};
    for (std::int32_t i = 0; i < count; ++i)
      spec.names.push_back(prefix_ + name + "." + std::to_string(i) + "." + suffix);
    return take(spec);
  }
  WeightPtr router(const std::string &name, std::int64_t n, std::int64_t k) const {
    return take({.use = ABK_USE_ROUTER, .names = {prefix_ + name + ".weight"}, .n = n, .k = k});
  }
  WeightPtr vector(const std::string &name, std::int64_t n) const {
    return take({.use = ABK_USE_VECTOR, .names = {prefix_ + name}, .n = n});
  }
  WeightPtr norm(const std::string &name, std::int64_t n) const { return vector(name + ".weight", n); }
  WeightPtr bias(const std::string &name, std::int64_t n) const { return vector(name + ".bias", n); }
  WeightPtr embedding(const std::string &name, std::int64_t n, std::int64_t k) const {
    return take({.use = ABK_USE_EMBEDDING, .names = {prefix_ + name + ".weight"}, .n = n, .k = k, .outer = true});
  }
  WeightPtr head(const std::string &name, std::int64_t n, std::int64_t k) const {
    return take({.use = ABK_USE_MATRIX, .names = {prefix_ + name + ".weight"}, .n = n, .k = k, .outer = true});
  }
  WeightPtr take(const WeightSpec &spec) const { return visitor_.take(spec); }
  bool has(const std::string &name) const { return visitor_.has(prefix_ + name); }
  WeightVisitor &visitor() const noexcept { return visitor_; }
  const std::string &prefix() const noexcept { return prefix_; }
  WeightScope below(const std::string &name) const { return {visitor_, prefix_ + name}; }

private:
  WeightVisitor &visitor_;
  std::string prefix_;
};

} // namespace abyssal
