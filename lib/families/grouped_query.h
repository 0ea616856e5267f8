// What the dense families share: grouped-query attention and a SwiGLU in every layer.
#pragma once

#include "families/family.h"
#include "model/layers/gqa.h"

namespace abyssal {

GqaSpec read_gqa(const ModelSpec &spec, const ConfigFields &fields);

// Layers that are all alike.
void make_dense_layers(ModelSpec &spec, std::int32_t layers, const GqaSpec &attention, const ConfigFields &fields);

} // namespace abyssal
