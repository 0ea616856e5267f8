// Any bytes as a safetensors file: opened and every tensor touched, or refused by an Error.
#include "fuzz_file.h"

#include "base/status.h"
#include "weights/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const test::FuzzFile file(data, size);
  try {
    const auto source = abyssal::open_safetensors_file(file.path());
    unsigned sum = 0;
    for (const std::string &name : source->names()) {
      const abyssal::TensorView *view = source->find(name);
      for (std::uint64_t i = 0; i < view->bytes; ++i)
        sum += std::to_integer<unsigned>(view->data[i]);
      sum += static_cast<unsigned>(source->origin(name).size()) + (source->stays_in_place(name) ? 1 : 0);
    }
    static volatile unsigned sink;
    sink = sum;
  } catch (const abyssal::Error &) {
  }
  return 0;
}
