// The ids that the tokenizer of a GGUF file gives to texts: gguf_ids FILE.gguf TEXTS.json [plain]. TEXTS.json is an
// array; an array of arrays of ids comes back. For tests/text/llama_vocabularies.py.
#include "base/mapped_file.h"
#include "base/status.h"
#include "load/text_parts.h"
#include "weights/gguf_model.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string_view>

int main(int argc, char **argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: gguf_ids FILE.gguf TEXTS.json [plain]\n");
    return 2;
  }
  try {
    const auto model = abyssal::GgufModel::open(argv[1]);
    const abyssal::TextParts parts = abyssal::read_text_parts(model->metadata());
    const abyssal::Tokenizer &tokenizer = parts.need_tokenizer();
    const bool plain = argc > 3 && std::string_view(argv[3]) == "plain";
    nlohmann::json ids = nlohmann::json::array();
    for (const auto &text : nlohmann::json::parse(abyssal::read_text_file(argv[2])))
      ids.push_back(tokenizer.encode(text.get<std::string>(), plain));
    std::puts(ids.dump().c_str());
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
