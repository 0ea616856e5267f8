// What a model is made of, without its weights: a list of layers, and what is around them. Families make one of a
// config.
#pragma once

#include "model/layers/layer_part.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace abyssal {

enum class RopeScaling { kNone, kLinear, kYarn, kLlama3 };

struct RopeConfig {
  std::int32_t dim = 0;       // of a head, that is turned; even
  std::int32_t score_dim = 0; // of a head, that scores are products of
  bool scores_scaled = false; // YaRN's factor is on the scores too, squared (DeepSeek)
  double theta = 10000.0;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1.0;
  double original_max_position_embeddings = 0;
  double beta_fast = 32, beta_slow = 1;             // yarn
  double mscale = 1, mscale_all_dim = 0;            // yarn
  double low_freq_factor = 1, high_freq_factor = 4; // llama3
  std::vector<float> frequency_divisors = {};       // one per frequency, or none: how GGUF files store llama3's scaling
};

struct Fp8Config { // quantization_config
  bool enabled = false;
  std::int64_t block_n = 128, block_k = 128;
};

struct LayerSpec {
  std::shared_ptr<const AttentionSpec> attention; // layers that are alike share them
  std::shared_ptr<const FeedForwardSpec> feed_forward;
};

// Names are those of config.json. All sizes were checked: positive where they must be, products far from overflow.
struct ModelSpec {
  std::string model_type;
  std::int32_t hidden_size = 0, vocab_size = 0, max_position_embeddings = 0;
  float rms_norm_eps = 1e-6f;
  bool tie_word_embeddings = false;
  RopeConfig rope;
  Fp8Config fp8;
  std::vector<LayerSpec> layers;
  std::optional<LayerSpec> mtp; // the multi-token-prediction layer, stored as one more layer

  std::int32_t bos_token_id = -1;
  std::vector<std::int32_t> eos_token_ids;

  // generation_config.json
  std::optional<float> temperature, top_p, min_p;
  std::optional<std::int32_t> top_k;
  bool do_sample = true;

  std::int32_t layer_count() const noexcept { return static_cast<std::int32_t>(layers.size()); }
  // Of the first layer; in the models so far all have one kind.
  const AttentionSpec &attention() const noexcept { return *layers.front().attention; }
  // Of the layers with experts; experts is 0 where there is none.
  RoutedExperts routed() const noexcept;
  // The layers that passes run: with mtp, its layer last.
  std::vector<LayerSpec> all_layers(bool with_mtp) const;
};

} // namespace abyssal
