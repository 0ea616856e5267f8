// What the targets share: an input's parts, and the refusals that a reader may answer with.
#pragma once

#include "base/status.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace test {

// The texts of an input that holds several, with a NUL between them; at least `count`, the last ones may be empty.
inline std::vector<std::string> fuzz_texts(const std::uint8_t *data, std::size_t size, std::size_t count) {
  std::vector<std::string> texts(1);
  for (std::size_t i = 0; i < size; ++i) {
    if (data[i] == 0 && texts.size() < count)
      texts.emplace_back();
    else
      texts.back() += static_cast<char>(data[i]);
  }
  texts.resize(count);
  return texts;
}

// Runs the body, which may throw an Error, but not one that says that the library itself is wrong.
template <typename Body> void may_refuse(Body &&body) {
  try {
    body();
  } catch (const abyssal::Error &error) {
    if (error.status() != ABY_ERROR_INTERNAL)
      return;
    std::fprintf(stderr, "an internal error: %s\n", error.text().c_str());
    std::abort();
  }
}

// Uses a value, so that computing it cannot be left out.
inline void use(std::uint64_t value) {
  static volatile std::uint64_t sink;
  sink = value;
}

} // namespace test
