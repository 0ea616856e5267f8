// How texts are split into words before merging, by the names that GGUF files have for it; each is what the
// tokenizer.json of the published checkpoints says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace abyssal {

struct PreTokenizer {
  std::vector<const char *> names;
  std::vector<const char *> splits = {}; // patterns, applied one after another; each match is a piece of its own
  bool single_digits = false;            // then every digit is a piece
  bool composes = false;                 // the text is normalised to NFC first
  bool ignores_merges = false;           // a piece that is in the vocabulary is that token, whatever the merges say
  bool adds_bos = false;                 // where the file does not say
};

// nullptr for a name that is not known.
const PreTokenizer *find_pre_tokenizer(std::string_view name);

// All names, for messages.
std::string pre_tokenizer_names();

} // namespace abyssal
