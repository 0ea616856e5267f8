// Routing, experts and multi-head latent attention on a script's arrays.
#pragma once

#include "objects.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace abyssal::node {

using RouteArgs = Options<aby_moe_route_args>;
using ExpertsDesc = Options<aby_experts_desc>;
using MlaDesc = Options<aby_mla_desc>;
using AttendArgs = Options<aby_mla_attend_args>;

// The promise of {index, weight}. bias may be empty.
Task route(const Device &device, RouteArgs args, std::vector<float> logits, std::vector<float> bias);

// Weights that are prepared once. The shapes were checked by ops.cjs.
class Experts {
public:
  // tensors: e gates, e ups, e downs; 3 of the shared experts, if there are any; then as many scales, or none.
  Task create(const Device &device, const Tensors &tensors, ExpertsDesc desc);
  Task run(std::int32_t rows, std::int32_t top_k, std::vector<float> x, std::vector<std::int32_t> index,
           std::vector<float> weight) const;
  bool closed() const { return !*object_ || (*object_)->closed(); }
  void close() {
    if (*object_)
      (*object_)->close();
  }

private:
  std::shared_ptr<std::optional<experts>> object_ = std::make_shared<std::optional<experts>>();
  std::shared_ptr<Lane> lane_;
};

class Mla {
public:
  // tensors: kv_b.
  Task create(const Device &device, const Tensors &tensors, MlaDesc desc);
  // tensors: the cache. size: of the result.
  Task attend(AttendArgs args, const Tensors &tensors, std::vector<float> q, std::vector<std::int32_t> row_begin,
              std::vector<std::int32_t> context, std::vector<std::int32_t> block_table, std::uint32_t size) const;
  bool closed() const { return !*object_ || (*object_)->closed(); }
  void close() {
    if (*object_)
      (*object_)->close();
  }

private:
  std::shared_ptr<std::optional<mla>> object_ = std::make_shared<std::optional<mla>>();
  std::shared_ptr<Lane> lane_;
};

} // namespace abyssal::node
