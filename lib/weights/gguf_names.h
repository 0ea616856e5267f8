// What the tensors of a GGUF file are called in the published checkpoints.
#pragma once

#include <string>

namespace abyssal {

// How a stored tensor becomes tensors of published names.
enum class GgufRole {
  kPlain,   // the same tensor
  kExperts, // stacked: expert e is the published tensor `name` with e in the place of "{}"
  kQuery,   // q_proj or k_proj, whose rows the architecture "llama" permutes
  kKeyHalf, // the two halves of kv_b_proj; `name` is the whole's
  kValueHalf,
  kOther // of no use here: its own name
};

struct GgufName {
  GgufRole role;
  std::string name;
};

GgufName published_name(const std::string &stored);

} // namespace abyssal
