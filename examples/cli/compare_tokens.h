// The token sequences that `compare` evaluates: from texts, chats or lists of ids, and what the model goes on with.
#pragma once

#include "commands.h"

#include <abyssal/abyssal.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace cli {

using Sequences = std::vector<std::vector<std::int32_t>>;

class CompareTokens {
public:
  void add(CLI::App &command);

  // Reads the files. Throws UsageError where they are wrong.
  void read();
  // The most tokens that a sequence will have.
  std::uint64_t most() const;
  // Token ids of what was read; the replies are drawn from this model, greedily. path names it in errors.
  Sequences sequences(const abyssal::model &model, const std::string &path) const;

private:
  std::vector<std::int32_t> tokens_of(const abyssal::model &model, const std::string &path, std::size_t index) const;

  std::vector<std::string> files_;
  std::string ids_file_;
  std::uint64_t tokens_ = 512, reply_ = 0;
  bool chat_ = false;
  std::vector<std::string> texts_; // the content of files_
  Sequences ids_;
};

} // namespace cli
