// Token ids from the command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cli {

// "0,5,7", or @FILE: ids separated by commas or white space, or a JSON list. Throws UsageError.
std::vector<std::int32_t> read_tokens(const std::string &argument);

// "1, 2, 3"
std::string tokens_text(const std::vector<std::int32_t> &tokens);

} // namespace cli
