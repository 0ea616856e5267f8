// The hash is XXH3, whose values never change, and sees every byte.
#include "base/hash64.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace abyssal;

namespace {

std::uint64_t hash_of(const std::string &text) { return hash64(std::as_bytes(std::span(text))); }

} // namespace

TEST_CASE("known hashes") {
  CHECK(hash_of("") == 0x2D06800538D394C2u);
  CHECK(hash_of("abc") == 0x78AF5F94892F3950u);
}

TEST_CASE("every byte counts, at every length") {
  std::vector<std::byte> bytes(100);
  for (std::size_t length = 1; length <= bytes.size(); ++length) {
    const auto part = std::span<const std::byte>(bytes).first(length);
    const std::uint64_t before = hash64(part);
    for (std::size_t i = 0; i < length; ++i) {
      bytes[i] = std::byte{1};
      CHECK(hash64(part) != before);
      bytes[i] = std::byte{0};
    }
    CHECK(hash64(part.first(length - 1)) != before);
  }
}
