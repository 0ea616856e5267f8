// Any bytes as a GGUF file whose tokenizer and chat template are read and used, or refused by an Error.
#include "fuzz_file.h"
#include "fuzz_input.h"

#include "load/text_parts.h"
#include "weights/gguf_model.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const test::FuzzFile file(data, size);
  test::may_refuse([&] {
    const auto model = abyssal::GgufModel::open(file.path());
    const abyssal::TextParts parts = abyssal::read_text_parts(model->metadata());
    if (parts.tokenizer) {
      const auto ids = parts.tokenizer->encode("ab <think> 12\n", false);
      test::use(parts.tokenizer->decode(ids.data(), ids.size(), false).size());
    }
    if (parts.chat_template)
      test::use(parts.chat_template->render({R"([{"role": "user", "content": "a"}])", "", "", true}).size());
  });
  return 0;
}
