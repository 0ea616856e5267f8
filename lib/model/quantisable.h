// Which weights of a model are rounded when `weights` asks for it.
#pragma once

#include "model/config.h"
#include "weights/tensor_source.h"

#include <memory>

namespace abyssal {

// The source with every matrix that is multiplied with rounded to 8 or 4 bits (attention to 8 either way); the source
// itself with ABY_WEIGHTS_STORED. As stored stay: the router, vectors, embedding and head; what is in a block format
// already; matrices whose rows are no multiple of 32, and kv_b_proj where a half's are not. Checks the whole checkpoint
// as WeightReader does. threads: that round a large matrix.
std::shared_ptr<const TensorSource> quantised_source(std::shared_ptr<const TensorSource> source,
                                                     const ModelConfig &config, bool mtp, aby_weights weights,
                                                     unsigned threads);

} // namespace abyssal
