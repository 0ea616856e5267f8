// Any bytes as a GGUF file: opened, read as a config and as tensors, every one of them touched, or refused by an Error.
#include "fuzz_file.h"

#include "base/status.h"
#include "model/gguf_config.h"
#include "weights/gguf_source.h"

namespace {

using namespace abyssal;

// Reads what was promised to be there; the sanitizers see whether it is.
void touch(const TensorSource &source) {
  unsigned sum = 0;
  for (const std::string &name : source.names()) {
    const TensorView *view = source.find(name);
    if (view->data != nullptr) {
      for (std::uint64_t i = 0; i < view->bytes; ++i)
        sum += std::to_integer<unsigned>(view->data[i]);
    } else if (source.make(name).size() != view->bytes) {
      std::abort();
    }
    sum += static_cast<unsigned>(source.origin(name).size() + source.stored(name).dtypes.size());
  }
  static volatile unsigned sink;
  sink = sum;
}

template <typename Body> void may_refuse(Body &&body) {
  try {
    body();
  } catch (const Error &) {
  }
}

void read_text(const GgufMetadata &metadata) {
  may_refuse([&] { metadata.texts("tokenizer.ggml.tokens"); });
  may_refuse([&] { metadata.texts("tokenizer.ggml.merges"); });
  may_refuse([&] { metadata.integers("tokenizer.ggml.token_type"); });
  may_refuse([&] { metadata.text("tokenizer.chat_template"); });
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const test::FuzzFile file(data, size);
  may_refuse([&] {
    const auto model = GgufModel::open(file.path());
    read_text(model->metadata());
    const auto source = make_gguf_source(model);
    touch(*source);
    parse_gguf_config(model->metadata(), *source);
  });
  return 0;
}
