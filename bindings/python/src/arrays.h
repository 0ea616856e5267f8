// Arrays from and to memory of C++: numpy's, and token ids, which need no numpy.
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

// Token ids of the caller: one dimension of 32-bit integers without gaps, in whatever has the buffer protocol.
inline std::vector<std::int32_t> to_vector(const pybind11::buffer &buffer) {
  const pybind11::buffer_info info = buffer.request();
  if (info.ndim != 1 || !info.item_type_is_equivalent_to<std::int32_t>() ||
      (info.size > 1 && info.strides.at(0) != sizeof(std::int32_t)))
    throw pybind11::type_error("tokens are not one dimension of 32-bit integers without gaps");
  const auto *data = static_cast<const std::int32_t *>(info.ptr);
  return std::vector<std::int32_t>(data, data + info.size);
}

// Token ids of the library, with the buffer protocol: programs that only read and write text need no numpy.
struct Ints {
  std::vector<std::int32_t> values;
};

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
