// Routing, experts and MLA for Java, which has checked shapes against each other.
#pragma once

#include "jni_values.h"

#include <algorithm>
#include <array>
#include <vector>

namespace abyssal::java {

// Weights of experts in direct buffers, which Java keeps alive until they are made.
class expert_weights {
public:
  // Groups, in the order of aby_experts_desc: 0 to 2 gate, up, down; 3 to 5 their scales; 6 to 8 the shared gate, up
  // and down; 9 to 11 their scales.
  void add(std::int32_t group, const buffer &data) { groups_.at(static_cast<std::size_t>(group)).push_back(data.data); }

  experts make(const device &on, aby_experts_desc desc) const {
    desc.experts = static_cast<std::int32_t>(groups_[0].size());
    desc.gate = all(0);
    desc.up = all(1);
    desc.down = all(2);
    desc.gate_scale = all(3);
    desc.up_scale = all(4);
    desc.down_scale = all(5);
    desc.shared_gate = one(6);
    desc.shared_up = one(7);
    desc.shared_down = one(8);
    desc.shared_gate_scale = one(9);
    desc.shared_up_scale = one(10);
    desc.shared_down_scale = one(11);
    return experts(on, desc);
  }

private:
  const void *const *all(std::size_t group) const { return groups_[group].empty() ? nullptr : groups_[group].data(); }
  const void *one(std::size_t group) const { return groups_[group].empty() ? nullptr : groups_[group][0]; }
  std::array<std::vector<const void *>, 12> groups_;
};

// index and weight have room for [tokens, top_k], or as much as Java could know where the library refuses top_k.
inline void route(JNIEnv *env, const device &on, aby_moe_route_args args, const std::vector<float> &logits,
                  const std::vector<float> &bias, jintArray index, jfloatArray weight) {
  const auto count =
      static_cast<std::size_t>(args.tokens) * static_cast<std::size_t>(std::clamp(args.top_k, 0, args.experts));
  std::vector<std::int32_t> chosen(count);
  std::vector<float> weights(count);
  args.logits = logits.data();
  args.bias = bias.empty() ? nullptr : bias.data();
  args.index = chosen.data();
  args.weight = weights.data();
  moe_route(on, args);
  env->SetIntArrayRegion(index, 0, static_cast<jsize>(count), chosen.data());
  if (env->ExceptionCheck() == JNI_FALSE)
    env->SetFloatArrayRegion(weight, 0, static_cast<jsize>(count), weights.data());
  if (env->ExceptionCheck() != JNI_FALSE)
    throw java_thrown();
}

inline jfloatArray run_experts(JNIEnv *env, const experts &with, aby_moe_experts_args args, const std::vector<float> &x,
                               const std::vector<std::int32_t> &index, const std::vector<float> &weight) {
  std::vector<float> out(x.size());
  args.x = x.data();
  args.index = index.data();
  args.weight = weight.data();
  args.out = out.data();
  with.run(args);
  return write_floats(env, out.data(), out.size());
}

// out has out_count elements: rows * heads * v_head_dim.
inline jfloatArray attend(JNIEnv *env, const mla &with, aby_mla_attend_args args, const std::vector<float> &q,
                          const buffer &cache, const std::vector<std::int32_t> &row_begin,
                          const std::vector<std::int32_t> &context, const std::vector<std::int32_t> &block_table,
                          std::uint64_t out_count) {
  std::vector<float> out(out_count);
  args.row_begin = row_begin.data();
  args.context = context.data();
  args.block_table = block_table.data();
  args.cache = cache.data;
  args.q = q.data();
  args.out = out.data();
  with.attend(args);
  return write_floats(env, out.data(), out.size());
}

} // namespace abyssal::java
