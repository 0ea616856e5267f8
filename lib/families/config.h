// config.json and generation_config.json of every supported family, checked.
#pragma once

#include "model/spec.h"

#include <string>

namespace abyssal {

class ConfigFields;

// Parses the text of config.json. origin names it in messages. Throws FORMAT (invalid JSON, absurd or contradictory
// numbers, each named) or UNSUPPORTED (an architecture or feature this library does not run, named).
ModelSpec parse_config(const std::string &json, const std::string &origin);
ModelSpec parse_config(const ConfigFields &fields);

// Merges generation_config.json: sampling defaults, eos and bos ids.
void parse_generation_config(ModelSpec &spec, const std::string &json, const std::string &origin);

} // namespace abyssal
