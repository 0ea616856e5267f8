// Where a model's tensors come from: a checkpoint on disk or arrays in memory.
#pragma once

#include "base/tensor_view.h"

#include <string>
#include <vector>

namespace abyssal {

class TensorSource {
public:
  virtual ~TensorSource() = default;

  // nullptr when there is no such tensor. The view lives as long as the source. A stored type that this library has no
  // name for (f64, bool, ...) is AUTO in the view; origin() names it.
  virtual const TensorView *find(const std::string &name) const = 0;

  // All names, sorted.
  virtual std::vector<std::string> names() const = 0;

  // Where a tensor is stored, for messages: "model-00001-of-00002.safetensors, offset 1234, F64".
  virtual std::string origin(const std::string &name) const = 0;

  // True when the bytes stay in place, unchanged, as long as the source lives, and are aligned to their element.
  virtual bool stays_in_place(const std::string &name) const noexcept = 0;
};

} // namespace abyssal
