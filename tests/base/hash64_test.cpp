// XXH64 against the values that its specification's implementation gives.
#include "base/hash64.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace abyssal;

namespace {

std::uint64_t hash_of(const std::string &text) { return hash64(std::as_bytes(std::span(text))); }

} // namespace

TEST_CASE("known hashes") {
  CHECK(hash_of("") == 0xEF46DB3751D8E999u);
  CHECK(hash_of("a") == 0xD24EC4F1A98C6E5Bu);
  CHECK(hash_of("abc") == 0x44BC2CF5AD770999u);
  CHECK(hash_of("Nobody inspects the spammish repetition") == 0xFBCEA83C8A378BF1u);
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
