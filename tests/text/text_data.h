// Reads the reference data, and runs what must throw.
#pragma once

#include "base/status.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>

namespace abyssal::test {

inline std::string read_data(const std::string &name) {
  std::ifstream file(std::string(ABYSSAL_TEST_DATA "/") + name, std::ios::binary);
  if (!file)
    throw std::runtime_error("cannot read test data " + name);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline nlohmann::ordered_json read_json(const std::string &name) {
  return nlohmann::ordered_json::parse(read_data(name));
}

// The error that body throws, or none. Anything but an abyssal::Error passes through.
template <typename Body> std::optional<Error> error_of(Body &&body) {
  try {
    body();
  } catch (const Error &error) {
    return error;
  }
  return std::nullopt;
}

} // namespace abyssal::test
