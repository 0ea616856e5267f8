// A family of models: what its config.json is known by, and how its layers come of it. Each family has a file of its
// own in this folder; config.cpp reads what all have in common.
#pragma once

#include "families/config_fields.h"
#include "model/spec.h"

#include <cstdint>
#include <span>

namespace abyssal {

struct Family {
  const char *model_type;
  const char *architecture; // of checkpoints without a model_type; nullptr: those have one
  // Makes spec.layers, spec.mtp and the sizes of spec.rope; what all families have in common is read already.
  void (*read_layers)(ModelSpec &spec, std::int32_t layers, const ConfigFields &fields);
};

extern const Family kDeepseekV2, kDeepseekV3, kKimiK2; // deepseek.cpp
extern const Family kQwen2;                            // qwen2.cpp
extern const Family kLlama;                            // llama.cpp

} // namespace abyssal
