// Any bytes as a GGUF file: opened, read as a config and as tensors, every one of them touched, or refused by an Error.
#include "fuzz_file.h"
#include "fuzz_input.h"

#include "families/gguf_config.h"
#include "weights/gguf_source.h"

namespace {

using namespace abyssal;

// Reads what was promised to be there; the sanitizers see whether it is.
void touch(const TensorSource &source) {
  std::uint64_t sum = 0;
  for (const std::string &name : source.names()) {
    const TensorView *view = source.find(name);
    if (view->data != nullptr) {
      for (std::uint64_t i = 0; i < view->bytes; ++i)
        sum += std::to_integer<unsigned>(view->data[i]);
    } else if (source.make(name).size() != view->bytes) {
      std::abort();
    }
    sum += source.origin(name).size() + source.stored(name).dtypes.size();
  }
  test::use(sum);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const test::FuzzFile file(data, size);
  test::may_refuse([&] {
    const auto source = make_gguf_source(GgufModel::open(file.path()));
    touch(*source);
  });
  test::may_refuse([&] {
    const auto model = GgufModel::open(file.path());
    parse_gguf_config(model->metadata(), *make_gguf_source(model));
  });
  return 0;
}
