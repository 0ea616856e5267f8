// ops.h through abyssal.hpp.
RAW_STRUCT(abyssal::java::expert_weights, expert_weights, RawExpertWeights)
namespace abyssal { namespace java {
class expert_weights {
public:
  void add(std::int32_t group, const abyssal::java::buffer &data);
};
void route(JNIEnv *env, const abyssal::device &on, aby_moe_route_args args, const std::vector<float> &logits,
           const std::vector<float> &bias, jintArray index, jfloatArray weight);
} }

%extend abyssal::experts {
  experts(const abyssal::device &on, const abyssal::java::expert_weights &weights, const aby_experts_desc &desc) {
    return new abyssal::experts(weights.make(on, desc));
  }
  jfloatArray runNow(JNIEnv *env, const aby_moe_experts_args &args, const std::vector<float> &x,
                     const std::vector<std::int32_t> &index, const std::vector<float> &weight) const {
    return abyssal::java::run_experts(env, *$self, args, x, index, weight);
  }
}

%extend abyssal::mla {
  mla(const abyssal::device &on, const aby_mla_desc &numbers, const abyssal::java::buffer &kv_b) {
    aby_mla_desc desc = numbers;
    desc.kv_b = kv_b.data;
    return new abyssal::mla(on, desc);
  }
  jfloatArray attendNow(JNIEnv *env, const aby_mla_attend_args &args, const std::vector<float> &q,
                        const abyssal::java::buffer &cache, const std::vector<std::int32_t> &row_begin,
                        const std::vector<std::int32_t> &context, const std::vector<std::int32_t> &block_table,
                        std::uint64_t out_count) const {
    return abyssal::java::attend(env, *$self, args, q, cache, row_begin, context, block_table, out_count);
  }
}
