// Which weights of a model are rounded when `weights` asks for it.
#pragma once

#include "families/config.h"
#include "weights/tensor_source.h"

#include <memory>

namespace abyssal {

// Names which weights are rounded, and how. Whoever changes that, here or in lib/base/block_quantise.h, counts up: what
// was kept of the old ones is then not taken for the new ones.
constexpr const char *kRounding = "rounding 2";

// The source with every matrix that is multiplied with rounded to 8 or 4 bits (attention and the first layer to 8
// either way); the source itself with ABY_WEIGHTS_STORED. As stored stay: the router, vectors, embedding and head; what
// is in a block format already; matrices whose rows are no multiple of 32, and kv_b_proj where a half's are not. Checks
// the whole checkpoint as WeightReader does. threads: that round a large matrix.
std::shared_ptr<const TensorSource> quantised_source(std::shared_ptr<const TensorSource> source, const ModelSpec &spec,
                                                     bool mtp, aby_weights_kind weights, unsigned threads);

} // namespace abyssal
