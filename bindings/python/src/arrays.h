// numpy arrays from and to memory of C++.
#pragma once

#include <pybind11/numpy.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace abyssal::python {

// C-contiguous; the package's Python half has converted what the caller gave.
using IntArray = pybind11::array_t<std::int32_t, pybind11::array::c_style>;
using FloatArray = pybind11::array_t<float, pybind11::array::c_style>;

// A copy: another thread may write to the caller's array while the GIL is released, and ids are checked before use.
inline std::vector<std::int32_t> to_vector(const IntArray &array) {
  return std::vector<std::int32_t>(array.data(), array.data() + array.size());
}

// An array that takes over the vector.
template <typename Element>
pybind11::array_t<Element> to_array(std::vector<Element> values, std::vector<pybind11::ssize_t> shape) {
  auto owner = std::make_unique<std::vector<Element>>(std::move(values));
  const Element *data = owner->data();
  pybind11::capsule base(owner.get(), [](void *dead) { delete static_cast<std::vector<Element> *>(dead); });
  owner.release();
  return pybind11::array_t<Element>(std::move(shape), data, base);
}

template <typename Element> pybind11::array_t<Element> to_array(std::vector<Element> values) {
  const auto size = static_cast<pybind11::ssize_t>(values.size());
  return to_array(std::move(values), {size});
}

} // namespace abyssal::python
