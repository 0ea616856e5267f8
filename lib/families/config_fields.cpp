#include "families/config_fields.h"

#include "base/status.h"

#include <cmath>
#include <limits>

namespace abyssal {

using Json = nlohmann::json;

ConfigFields::ConfigFields(const std::string &json, std::string origin) : origin_(std::move(origin)) {
  // A config is shallow: deep nesting is refused before it can exhaust the stack.
  const auto shallow = [this](int depth, Json::parse_event_t, Json &) {
    if (depth > 32)
      fail(ABY_ERROR_FORMAT, origin_, ": its JSON is nested deeper than 32");
    return true;
  };
  try {
    object_ = Json::parse(json, shallow);
  } catch (const Json::exception &error) {
    fail(ABY_ERROR_FORMAT, origin_, ": is not valid JSON: ", error.what());
  }
  if (!object_.is_object())
    fail(ABY_ERROR_FORMAT, origin_, ": is not a JSON object");
}

void ConfigFields::refuse(const char *name, const std::string &expected) const {
  std::string value = "missing";
  if (object_.contains(name))
    value = object_[name].dump(-1, ' ', false, Json::error_handler_t::replace);
  if (value.size() > 100)
    value = value.substr(0, 100) + "...";
  const auto written = written_.find(name);
  fail(ABY_ERROR_FORMAT, origin_, ": ", written != written_.end() ? written->second : name, " is ", value,
       "; expected ", expected);
}

void ConfigFields::unsupported(const std::string &reason) const { fail(ABY_ERROR_UNSUPPORTED, origin_, ": ", reason); }

const Json &ConfigFields::at(const char *name, const char *expected) const {
  if (!has(name))
    refuse(name, expected);
  return object_[name];
}

std::int32_t ConfigFields::checked_integer(const Json &value, const char *name, std::int64_t least,
                                           std::int64_t most) const {
  const std::string expected = concat("a whole number from ", least, " to ", most);
  // Some writers print whole numbers as 40.0.
  if (value.is_number_float()) {
    const auto real = value.get<double>();
    if (std::floor(real) == real && real >= static_cast<double>(least) && real <= static_cast<double>(most))
      return static_cast<std::int32_t>(real);
    refuse(name, expected);
  }
  if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX))
    refuse(name, expected);
  const auto number = value.get<std::int64_t>();
  if (number < least || number > most)
    refuse(name, expected);
  return static_cast<std::int32_t>(number);
}

std::int32_t ConfigFields::integer(const char *name, std::int64_t least, std::int64_t most) const {
  return checked_integer(at(name, "a whole number"), name, least, most);
}

std::int32_t ConfigFields::integer_or(const char *name, std::int32_t absent, std::int64_t least,
                                      std::int64_t most) const {
  return has(name) ? integer(name, least, most) : absent;
}

double ConfigFields::number_or(const char *name, double absent) const {
  if (!has(name))
    return absent;
  const Json &value = object_[name];
  if (!value.is_number() || !std::isfinite(value.get<double>()) || std::abs(value.get<double>()) > 1e30)
    refuse(name, "a finite number");
  return value.get<double>();
}

double ConfigFields::positive_or(const char *name, double absent) const {
  const double value = number_or(name, absent);
  if (!(value > 0))
    refuse(name, "a number above 0");
  return value;
}

bool ConfigFields::boolean_or(const char *name, bool absent) const {
  if (!has(name))
    return absent;
  if (!object_[name].is_boolean())
    refuse(name, "true or false");
  return object_[name].get<bool>();
}

std::string ConfigFields::text_or(const char *name, const std::string &absent) const {
  if (!has(name))
    return absent;
  if (!object_[name].is_string())
    refuse(name, "a text");
  return object_[name].get<std::string>();
}

std::vector<std::int32_t> ConfigFields::integers(const char *name, std::int64_t least, std::int64_t most) const {
  std::vector<std::int32_t> values;
  if (!has(name))
    return values;
  const Json &value = object_[name];
  if (!value.is_array())
    return {checked_integer(value, name, least, most)};
  for (const Json &element : value)
    values.push_back(checked_integer(element, name, least, most));
  return values;
}

std::vector<std::string> ConfigFields::texts(const char *name) const {
  std::vector<std::string> values;
  if (!has(name))
    return values;
  if (!object_[name].is_array())
    refuse(name, "a list of texts");
  for (const Json &element : object_[name]) {
    if (!element.is_string())
      refuse(name, "a list of texts");
    values.push_back(element.get<std::string>());
  }
  return values;
}

std::optional<ConfigFields> ConfigFields::object(const char *name) const {
  if (!has(name))
    return std::nullopt;
  if (!object_[name].is_object())
    refuse(name, "an object");
  return ConfigFields(object_[name], written_.empty() ? origin_ + ": " + name : origin_, written_);
}

} // namespace abyssal
