// Any text as config.json, and one after a NUL as generation_config.json: read or refused by an Error.
#include "fuzz_input.h"

#include "families/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::vector<std::string> texts = test::fuzz_texts(data, size, 2);
  abyssal::ModelSpec config;
  test::may_refuse([&] { config = abyssal::parse_config(texts[0], "config.json"); });
  test::may_refuse([&] { abyssal::parse_generation_config(config, texts[1], "generation_config.json"); });
  return 0;
}
