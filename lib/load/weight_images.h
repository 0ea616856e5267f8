// Where prepared weights may be taken from instead of being made, and where they go when they were made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace abyssal {

class WeightImages {
public:
  virtual ~WeightImages() = default;
  // The image of a weight, of exactly that size, aligned to 64 bytes, valid as long as the model; null: make it.
  virtual const std::byte *find(const std::string &name, std::uint64_t bytes) = 0;
  // A weight was made; its image is valid during the call.
  virtual void add(const std::string &name, const std::byte *image, std::uint64_t bytes) = 0;
};

} // namespace abyssal
