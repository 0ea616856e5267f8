// How a model is opened.
#pragma once

#include "base/status.h"
#include "device/device.h"
#include "load/packed_cache.h"

#include <cstdint>
#include <functional>
#include <string>

namespace abyssal {

struct ModelOptions {
  DevicePtr device; // null: opened from device_options
  DeviceOptions device_options;
  aby_dtype activations = ABY_DTYPE_AUTO; // F32, BF16, I8 and I16 too; see abyssal.h
  aby_dtype rows = ABY_DTYPE_AUTO;        // of activations, F32 or BF16: settled when a checkpoint is opened
  aby_weights_kind weights = ABY_WEIGHTS_STORED;
  aby_dtype cache_dtype = ABY_DTYPE_AUTO;
  std::uint64_t cache_tokens = 0;
  std::uint32_t absorb_below = 128;
  bool mtp = false;
  PackedCacheOptions packed_cache;
  std::string tokenizer; // folder, or "" for the checkpoint's own
  std::function<bool(aby_stage stage, std::uint64_t done, std::uint64_t total)> progress; // false cancels; may be empty
};

// Tells the progress; throws CANCELLED where that is answered with false.
inline void report(const ModelOptions &options, aby_stage stage, std::uint64_t done, std::uint64_t total) {
  if (options.progress && !options.progress(stage, done, total))
    fail(ABY_ERROR_CANCELLED, "opening the model was cancelled");
}

} // namespace abyssal
