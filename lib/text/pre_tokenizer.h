// How texts are split into words before merging, by the names that GGUF files have for it; each is what the
// tokenizer.json of the published checkpoints says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace abyssal {

struct PreTokenizer {
  std::vector<const char *> names;
  std::vector<std::string> splits = {}; // patterns, each applied to the pieces of the one before it; what it matches
                                        // and what lies between are pieces
  bool composes = false;                // the text is normalised to NFC first
  bool ignores_merges = false;          // a piece that is in the vocabulary is that token, whatever the merges say
  bool adds_bos = false;                // where the file does not say
  bool ranked_by_id = false;            // a file without merges means that tokens with lower ids are made first
  bool raw = false; // tokens are UTF-8 with U+2581 for a space and <0xNN> for a byte, not the byte-level alphabet
};

// nullptr for a name that is not known. "" is the name of files that have none.
const PreTokenizer *find_pre_tokenizer(std::string_view name);

} // namespace abyssal
