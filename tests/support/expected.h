// The reference values beside a conformance checkpoint.
#pragma once

#include "weights/safetensors.h"

#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace test {

class Expected {
public:
  explicit Expected(const std::string &path) : source_(abyssal::open_safetensors_file(path)) {}

  bool has(const std::string &name) const { return source_->find(name) != nullptr; }
  std::vector<float> floats(const std::string &name) const { return read<float>(name, ABY_DTYPE_F32); }
  std::vector<std::int32_t> ints(const std::string &name) const { return read<std::int32_t>(name, ABY_DTYPE_I32); }

private:
  template <typename Element> std::vector<Element> read(const std::string &name, aby_dtype dtype) const {
    const abyssal::TensorView *view = source_->find(name);
    INFO(name);
    REQUIRE(view != nullptr);
    REQUIRE(view->dtype == dtype);
    std::vector<Element> values(view->bytes / sizeof(Element));
    std::memcpy(values.data(), view->data, view->bytes);
    return values;
  }
  std::shared_ptr<const abyssal::TensorSource> source_;
};

} // namespace test
