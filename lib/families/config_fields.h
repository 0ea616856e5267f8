// Reads the fields of a JSON config, with errors that name the file, the field, its value and what was expected.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace abyssal {

class ConfigFields {
public:
  // Parses a JSON object. Throws FORMAT.
  ConfigFields(const std::string &json, std::string origin);
  // What fields are called where they were read from, if not as here; for messages.
  using WrittenAs = std::map<std::string, std::string>;
  // An object that was parsed already, or made from something else.
  ConfigFields(nlohmann::json object, std::string origin, WrittenAs written = {})
      : object_(std::move(object)), origin_(std::move(origin)), written_(std::move(written)) {}

  // Absent and null are the same everywhere.
  bool has(const char *name) const { return object_.contains(name) && !object_[name].is_null(); }

  // A whole number in [least, most].
  std::int32_t integer(const char *name, std::int64_t least, std::int64_t most) const;
  std::int32_t integer_or(const char *name, std::int32_t absent, std::int64_t least, std::int64_t most) const;
  // A finite number; positive ones only where that is said.
  double number_or(const char *name, double absent) const;
  double positive_or(const char *name, double absent) const;
  bool boolean_or(const char *name, bool absent) const;
  std::string text_or(const char *name, const std::string &absent) const;
  // A number, a list of numbers, or nothing.
  std::vector<std::int32_t> integers(const char *name, std::int64_t least, std::int64_t most) const;
  std::vector<std::string> texts(const char *name) const;
  std::optional<ConfigFields> object(const char *name) const;

  // Throws FORMAT: "config.json: NAME is VALUE; expected EXPECTED".
  [[noreturn]] void refuse(const char *name, const std::string &expected) const;
  // Throws UNSUPPORTED.
  [[noreturn]] void unsupported(const std::string &reason) const;

private:
  const nlohmann::json &at(const char *name, const char *expected) const;
  std::int32_t checked_integer(const nlohmann::json &value, const char *name, std::int64_t least,
                               std::int64_t most) const;

  nlohmann::json object_;
  std::string origin_;
  WrittenAs written_;
};

} // namespace abyssal
