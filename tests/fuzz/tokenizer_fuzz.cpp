// Any text as tokenizer.json, and one after a NUL as tokenizer_config.json: read and used, or refused by an Error.
#include "fuzz_input.h"

#include "text/chat_template.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::vector<std::string> texts = test::fuzz_texts(data, size, 2);
  test::may_refuse([&] {
    const auto tokenizer = abyssal::Tokenizer::create(texts[0], texts[1], "tokenizer.json");
    for (const bool plain : {false, true}) {
      const auto ids = tokenizer->encode("ab <think> 12\n\xc3\xa9", plain);
      test::use(tokenizer->decode(ids.data(), ids.size(), plain).size());
    }
  });
  test::may_refuse([&] { test::use(abyssal::chat_template_of_config(texts[1], "tokenizer_config.json").size()); });
  return 0;
}
