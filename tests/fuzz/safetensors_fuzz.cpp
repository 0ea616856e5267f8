// Any bytes as a safetensors file: opened and every tensor touched, or refused by an Error. Bytes that begin as a JSON
// object does are an index instead, beside two shards that are right.
#include "fuzz_file.h"
#include "fuzz_input.h"

#include "weights/safetensors.h"

#include <fstream>

namespace {

void touch(const abyssal::TensorSource &source) {
  std::uint64_t sum = 0;
  for (const std::string &name : source.names()) {
    const abyssal::TensorView *view = source.find(name);
    for (std::uint64_t i = 0; i < view->bytes; ++i)
      sum += std::to_integer<unsigned>(view->data[i]);
    sum += source.origin(name).size() + (source.stays_in_place(name) ? 1 : 0);
  }
  test::use(sum);
}

void write_file(const std::string &path, std::string_view content) {
  std::ofstream file(path, std::ios::binary);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  if (!file.flush())
    std::abort();
}

std::string shard(const std::string &tensor) {
  const std::string header = R"({")" + tensor + R"(": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  return bytes + header + "1234";
}

// A folder of this process, with shards that hold tensors a and b.
const test::FuzzFolder &shard_folder() {
  static const test::FuzzFolder folder;
  static const bool written = [] {
    write_file(folder.path() + "/1.safetensors", shard("a"));
    write_file(folder.path() + "/2.safetensors", shard("b"));
    return true;
  }();
  test::use(written ? 1 : 0);
  return folder;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  if (size > 0 && data[0] == '{') {
    const std::string folder = shard_folder().path();
    write_file(folder + "/model.safetensors.index.json", {reinterpret_cast<const char *>(data), size});
    test::may_refuse([&] { touch(*abyssal::open_safetensors_folder(folder)); });
    return 0;
  }
  const test::FuzzFile file(data, size);
  test::may_refuse([&] { touch(*abyssal::open_safetensors_file(file.path())); });
  return 0;
}
