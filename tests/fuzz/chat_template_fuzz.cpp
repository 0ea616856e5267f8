// Any text as a chat template, with those after NULs as messages, tools and variables: rendered or refused by an Error.
#include "fuzz_input.h"

#include "text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  std::vector<std::string> texts = test::fuzz_texts(data, size, 4);
  if (texts[1].empty())
    texts[1] = R"([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}])";
  test::may_refuse([&] {
    const auto compiled = abyssal::ChatTemplate::create(texts[0], R"({"bos_token": "<s>", "eos_token": "</s>"})");
    test::use(compiled->render({texts[1], texts[2], texts[3], true}).size());
  });
  return 0;
}
