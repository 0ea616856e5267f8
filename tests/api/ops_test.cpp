// ops.h on the caller's buffers: every backend gives what the reference gives, and bad arguments are refused.
#include "support/api.h"

#include <abyssal/ops.h>

#include <cmath>
#include <random>

namespace {

using namespace test;

Device device(const std::string &backend) {
  auto options = make<aby_device_options>(aby_device_options_init);
  options.backend = backend.c_str();
  aby_device *raw = nullptr;
  ABY_REQUIRE(aby_device_open(&raw, &options));
  return Device(raw);
}

std::vector<float> random(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<float> values(count);
  for (float &value : values)
    value = static_cast<float>(static_cast<double>(generator()) / 4294967296.0 - 0.5);
  return values;
}

struct Routes {
  std::vector<std::int32_t> index;
  std::vector<float> weight;
};

Routes route(const Device &on, aby_moe_route_args args) {
  Routes routes{std::vector<std::int32_t>(static_cast<std::size_t>(args.tokens * args.top_k), -1),
                std::vector<float>(static_cast<std::size_t>(args.tokens * args.top_k), -1.0f)};
  args.index = routes.index.data();
  args.weight = routes.weight.data();
  ABY_REQUIRE(aby_moe_route(on.get(), &args));
  return routes;
}

} // namespace

TEST_CASE("moe_route: hand-made case, ties to the lower index") {
  for (const std::string &backend : backends()) {
    CAPTURE(backend);
    auto args = make<aby_moe_route_args>(aby_moe_route_args_init);
    const std::vector<float> logits = {0, 1, 1, -1, /**/ 2, 2, 2, 2};
    args.tokens = 2;
    args.experts = 4;
    args.top_k = 2;
    args.scoring = ABY_SCORING_SIGMOID;
    args.norm_topk_prob = 1;
    args.routed_scaling_factor = 2;
    args.logits = logits.data();
    const Routes routes = route(device(backend), args);
    CHECK(routes.index == std::vector<std::int32_t>{1, 2, 0, 1});
    for (const float weight : routes.weight)
      CHECK(weight == doctest::Approx(1.0));
    args.top_k = 5;
    CHECK(aby_moe_route(device(backend).get(), &args) == ABY_ERROR_INVALID_ARGUMENT);
    args.top_k = 2;
    args.logits = nullptr;
    CHECK(aby_moe_route(device(backend).get(), &args) == ABY_ERROR_INVALID_ARGUMENT);
    args.tokens = 0;
    CHECK(aby_moe_route(device(backend).get(), &args) == ABY_OK);
  }
}

TEST_CASE("moe_experts equals plain loops") {
  const std::int32_t hidden = 40, inter = 24, shared = 16, experts = 5, tokens = 7, top_k = 2;
  std::vector<std::vector<float>> gate, up, down;
  std::vector<const void *> gates, ups, downs;
  for (std::int32_t e = 0; e < experts; ++e) {
    const auto seed = static_cast<unsigned>(e) * 3;
    gate.push_back(random(static_cast<std::size_t>(inter * hidden), seed));
    up.push_back(random(static_cast<std::size_t>(inter * hidden), seed + 1));
    down.push_back(random(static_cast<std::size_t>(hidden * inter), seed + 2));
  }
  for (std::size_t e = 0; e < gate.size(); ++e) {
    gates.push_back(gate[e].data());
    ups.push_back(up[e].data());
    downs.push_back(down[e].data());
  }
  const auto shared_gate = random(static_cast<std::size_t>(shared * hidden), 100);
  const auto shared_up = random(static_cast<std::size_t>(shared * hidden), 101);
  const auto shared_down = random(static_cast<std::size_t>(hidden * shared), 102);
  const auto x = random(static_cast<std::size_t>(tokens * hidden), 103);
  std::vector<std::int32_t> index;
  for (std::int32_t t = 0; t < tokens; ++t) {
    index.push_back(t % 3); // expert 3 gets nothing, expert 4 everything
    index.push_back(4);
  }
  const auto weight = random(index.size(), 104);

  std::vector<double> want(x.size(), 0.0);
  const auto add_mlp = [&](std::int32_t t, const float *g, const float *u, const float *d, std::int32_t width,
                           double w) {
    const float *row = x.data() + t * hidden;
    for (std::int32_t i = 0; i < width; ++i) {
      double a = 0, b = 0;
      for (std::int32_t j = 0; j < hidden; ++j) {
        a += double{g[i * hidden + j]} * row[j];
        b += double{u[i * hidden + j]} * row[j];
      }
      const double product = a / (1 + std::exp(-a)) * b * w;
      for (std::int32_t j = 0; j < hidden; ++j)
        want[static_cast<std::size_t>(t * hidden + j)] += product * d[j * width + i];
    }
  };
  for (std::int32_t t = 0; t < tokens; ++t) {
    for (std::int32_t k = 0; k < top_k; ++k) {
      const auto at = static_cast<std::size_t>(t * top_k + k);
      const auto e = static_cast<std::size_t>(index[at]);
      add_mlp(t, gate[e].data(), up[e].data(), down[e].data(), inter, weight[at]);
    }
    add_mlp(t, shared_gate.data(), shared_up.data(), shared_down.data(), shared, 1);
  }

  for (const std::string &backend : backends()) {
    CAPTURE(backend);
    auto desc = make<aby_experts_desc>(aby_experts_desc_init);
    desc.experts = experts;
    desc.hidden = hidden;
    desc.inter = inter;
    desc.shared_inter = shared;
    desc.dtype = ABY_DTYPE_F32;
    desc.gate = gates.data();
    desc.up = ups.data();
    desc.down = downs.data();
    desc.shared_gate = shared_gate.data();
    desc.shared_up = shared_up.data();
    desc.shared_down = shared_down.data();
    aby_experts *raw = nullptr;
    ABY_REQUIRE(aby_experts_create(&raw, device(backend).get(), &desc));
    const std::unique_ptr<aby_experts, Deleter<aby_experts, aby_experts_destroy>> prepared(raw);
    auto args = make<aby_moe_experts_args>(aby_moe_experts_args_init);
    std::vector<float> out(x.size());
    args.tokens = tokens;
    args.top_k = top_k;
    args.x = x.data();
    args.index = index.data();
    args.weight = weight.data();
    args.out = out.data();
    ABY_REQUIRE(aby_moe_experts(raw, &args));
    CHECK(relative_error(out, std::vector<float>(want.begin(), want.end())) < 1e-5);

    std::vector<std::int32_t> bad = index;
    bad[3] = experts;
    args.index = bad.data();
    CHECK(aby_moe_experts(raw, &args) == ABY_ERROR_INVALID_ARGUMENT);
    bad[3] = bad[2];
    CHECK(aby_moe_experts(raw, &args) == ABY_ERROR_INVALID_ARGUMENT);
    desc.dtype = ABY_DTYPE_I8;
    CHECK(aby_experts_create(&raw, device(backend).get(), &desc) == ABY_ERROR_INVALID_ARGUMENT);
    desc.dtype = ABY_DTYPE_F32;
    desc.up = nullptr;
    CHECK(aby_experts_create(&raw, device(backend).get(), &desc) == ABY_ERROR_INVALID_ARGUMENT);
  }
}

TEST_CASE("mla_attend equals plain loops, in both forms and over scattered blocks") {
  const std::int32_t heads = 3, lora = 20, nope = 12, rope = 8, v_dim = 10, blocks = 6;
  const std::int32_t width = lora + rope, q_dim = nope + rope;
  const auto kv_b = random(static_cast<std::size_t>(heads * (nope + v_dim) * lora), 1);
  const auto cache = random(static_cast<std::size_t>(blocks * 64 * width), 2);
  // Sequence 0: 70 cached tokens, 3 new; sequence 1: nothing new; sequence 2: from the start, 90 new.
  const std::vector<std::int32_t> row_begin = {0, 3, 3, 93}, context = {70, 5, 0};
  const std::vector<std::int32_t> table = {4, 1, /**/ 0, 0, /**/ 5, 2};
  const auto q = random(static_cast<std::size_t>(93 * heads * q_dim), 3);
  const float scale = 0.31f;

  std::vector<float> want;
  for (std::int32_t s = 0; s < 3; ++s) {
    for (std::int32_t r = row_begin[static_cast<std::size_t>(s)]; r < row_begin[static_cast<std::size_t>(s) + 1]; ++r) {
      const std::int32_t seen = context[static_cast<std::size_t>(s)] + r - row_begin[static_cast<std::size_t>(s)] + 1;
      for (std::int32_t h = 0; h < heads; ++h) {
        std::vector<double> score;
        std::vector<std::vector<double>> value;
        double top = -1e30, total = 0;
        for (std::int32_t t = 0; t < seen; ++t) {
          const float *row = cache.data() + (table[static_cast<std::size_t>(s * 2 + t / 64)] * 64 + t % 64) * width;
          const float *head = kv_b.data() + h * (nope + v_dim) * lora;
          const float *query = q.data() + (r * heads + h) * q_dim;
          double dot = 0;
          for (std::int32_t i = 0; i < nope; ++i) {
            double key = 0;
            for (std::int32_t j = 0; j < lora; ++j)
              key += double{head[i * lora + j]} * row[j];
            dot += key * query[i];
          }
          for (std::int32_t i = 0; i < rope; ++i)
            dot += double{query[nope + i]} * row[lora + i];
          std::vector<double> v(static_cast<std::size_t>(v_dim), 0.0);
          for (std::int32_t i = 0; i < v_dim; ++i) {
            for (std::int32_t j = 0; j < lora; ++j)
              v[static_cast<std::size_t>(i)] += double{head[(nope + i) * lora + j]} * row[j];
          }
          score.push_back(dot * scale);
          value.push_back(v);
          top = std::max(top, score.back());
        }
        std::vector<double> sum(static_cast<std::size_t>(v_dim), 0.0);
        for (std::size_t t = 0; t < score.size(); ++t) {
          const double p = std::exp(score[t] - top);
          total += p;
          for (std::size_t i = 0; i < sum.size(); ++i)
            sum[i] += p * value[t][i];
        }
        for (const double element : sum)
          want.push_back(static_cast<float>(element / total));
      }
    }
  }

  for (const std::string &backend : backends()) {
    for (const std::uint32_t absorb_below : {1u, 50u, UINT32_MAX}) {
      CAPTURE(backend);
      CAPTURE(absorb_below);
      auto desc = make<aby_mla_desc>(aby_mla_desc_init);
      desc.heads = heads;
      desc.kv_lora_rank = lora;
      desc.qk_nope_head_dim = nope;
      desc.qk_rope_head_dim = rope;
      desc.v_head_dim = v_dim;
      desc.dtype = ABY_DTYPE_F32;
      desc.kv_b = kv_b.data();
      aby_mla *raw = nullptr;
      ABY_REQUIRE(aby_mla_create(&raw, device(backend).get(), &desc));
      const std::unique_ptr<aby_mla, Deleter<aby_mla, aby_mla_destroy>> prepared(raw);
      auto args = make<aby_mla_attend_args>(aby_mla_attend_args_init);
      std::vector<float> out(want.size());
      args.sequences = 3;
      args.row_begin = row_begin.data();
      args.context = context.data();
      args.block_table = table.data();
      args.table_stride = 2;
      args.blocks = blocks;
      args.scale = scale;
      args.absorb_below = absorb_below;
      args.cache = cache.data();
      args.q = q.data();
      args.out = out.data();
      ABY_REQUIRE(aby_mla_attend(raw, &args));
      CHECK(relative_error(out, want) < 1e-5);
      args.blocks = 5;
      CHECK(aby_mla_attend(raw, &args) == ABY_ERROR_INVALID_ARGUMENT);
      args.blocks = blocks;
      args.table_stride = 1;
      CHECK(aby_mla_attend(raw, &args) == ABY_ERROR_INVALID_ARGUMENT);
      args.table_stride = 2;
      args.reserved = 1;
      CHECK(aby_mla_attend(raw, &args) == ABY_ERROR_INVALID_ARGUMENT);
      CHECK(std::string(aby_last_error()) == "aby_mla_attend_args: reserved is 1; expected 0");
    }
  }
}
