#include "ops.h"

#include <algorithm>
#include <utility>

namespace abyssal::node {

Task route(const Device &device, RouteArgs args, std::vector<float> logits, std::vector<float> bias) {
  auto work = [on = device.object(), args, logits = std::move(logits), bias = std::move(bias)]() -> Convert {
    aby_moe_route_args &raw = args->raw;
    // Another top_k is refused before it is written to.
    const auto width = static_cast<std::size_t>(std::clamp(raw.top_k, 0, raw.experts));
    const auto size = static_cast<std::size_t>(raw.tokens) * width;
    std::vector<std::int32_t> index(size);
    std::vector<float> weight(size);
    raw.logits = logits.data();
    raw.bias = bias.empty() ? nullptr : bias.data();
    raw.index = index.data();
    raw.weight = weight.data();
    moe_route(on, raw);
    return [index = std::move(index), weight = std::move(weight)](Napi::Env env) {
      const Napi::Object made = Napi::Object::New(env);
      made.Set("index", to_js(env, index));
      made.Set("weight", to_js(env, weight));
      return made;
    };
  };
  return make_task(device.lane(), std::move(work));
}

namespace {

// The weights of experts where they lie in a list of tensors, a group after the other.
class ExpertPointers {
public:
  ExpertPointers(const TensorList &list, aby_experts_desc &desc) : list_(list) {
    const auto each = static_cast<std::size_t>(desc.experts);
    const std::size_t weights = 3 * each + (desc.shared_inter != 0 ? 3 : 0);
    if (list.size() != weights && list.size() != 2 * weights)
      refuse(std::to_string(list.size()) + " tensors; expected " + std::to_string(weights) + " and as many scales");
    take_group(each, {&desc.gate, &desc.up, &desc.down});
    if (desc.shared_inter != 0)
      take({&desc.shared_gate, &desc.shared_up, &desc.shared_down});
    if (list.size() == weights)
      return;
    take_group(each, {&desc.gate_scale, &desc.up_scale, &desc.down_scale});
    if (desc.shared_inter != 0)
      take({&desc.shared_gate_scale, &desc.shared_up_scale, &desc.shared_down_scale});
  }

private:
  void take_group(std::size_t each, std::initializer_list<const void *const **> outs) {
    for (const void *const **out : outs) {
      auto &pointers = groups_.emplace_back();
      for (std::size_t i = 0; i < each; ++i)
        pointers.push_back(list_.data(next_++));
      *out = pointers.data();
    }
  }
  void take(std::initializer_list<const void **> outs) {
    for (const void **out : outs)
      *out = list_.data(next_++);
  }

  const TensorList &list_;
  std::size_t next_ = 0;
  std::deque<std::vector<const void *>> groups_;
};

template <typename Object> const Object &made(const std::optional<Object> &object) {
  if (!object)
    throw error(ABY_ERROR_STATE, "the object was not made");
  return *object;
}

} // namespace

Task Experts::create(const Device &device, const Tensors &tensors, ExpertsDesc desc) {
  lane_ = device.lane();
  return make_task(lane_, [on = device.object(), list = tensors.list(), desc, out = object_] {
    const ExpertPointers pointers(*list, desc->raw);
    out->emplace(on, desc->raw);
  });
}

Task Experts::run(std::int32_t rows, std::int32_t top_k, std::vector<float> x, std::vector<std::int32_t> index,
                  std::vector<float> weight) const {
  auto work = [on = made(*object_), rows, top_k, x = std::move(x), index = std::move(index),
               weight = std::move(weight)] {
    std::vector<float> out(x.size());
    auto args = default_moe_experts_args();
    args.tokens = rows;
    args.top_k = top_k;
    args.x = x.data();
    args.index = index.data();
    args.weight = weight.data();
    args.out = out.data();
    on.run(args);
    return out;
  };
  return make_task(lane_, std::move(work));
}

Task Mla::create(const Device &device, const Tensors &tensors, MlaDesc desc) {
  lane_ = device.lane();
  return make_task(lane_, [on = device.object(), list = tensors.list(), desc, out = object_] {
    desc->raw.kv_b = list->data(0);
    out->emplace(on, desc->raw);
  });
}

Task Mla::attend(AttendArgs args, const Tensors &tensors, std::vector<float> q, std::vector<std::int32_t> row_begin,
                 std::vector<std::int32_t> context, std::vector<std::int32_t> block_table, std::uint32_t size) const {
  auto work = [on = made(*object_), args, list = tensors.list(), q = std::move(q), row_begin = std::move(row_begin),
               context = std::move(context), block_table = std::move(block_table), size] {
    std::vector<float> out(size);
    aby_mla_attend_args &raw = args->raw;
    raw.row_begin = row_begin.data();
    raw.context = context.data();
    raw.block_table = block_table.data();
    raw.cache = list->data(0);
    raw.q = q.data();
    raw.out = out.data();
    on.attend(raw);
    return out;
  };
  return make_task(lane_, std::move(work));
}

} // namespace abyssal::node
