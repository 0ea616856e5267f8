#include "weights/safetensors_writer.h"

#include "base/output_file.h"
#include "base/status.h"

#include <nlohmann/json.hpp>

namespace abyssal {

namespace {

using OrderedJson = nlohmann::ordered_json;

// As the format spells it: the types in capitals.
std::string stored_name(aby_dtype dtype) {
  std::string name = dtype_name(dtype);
  for (char &c : name)
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

// The header with its length before it, padded so that the data begins aligned.
std::string header_text(const TensorSource &source, const std::vector<std::string> &names) {
  constexpr std::size_t kAlignment = 64;
  OrderedJson header = {{"__metadata__", {{"format", "pt"}}}};
  std::uint64_t offset = 0;
  for (const std::string &name : names) {
    const TensorView &view = *source.find(name);
    if (view.dtype == ABY_DTYPE_AUTO)
      fail(ABY_ERROR_UNSUPPORTED, "tensor ", name, " (", source.origin(name), ") has a type that is not supported");
    header[name] = {
        {"dtype", stored_name(view.dtype)}, {"shape", view.shape}, {"data_offsets", {offset, offset + view.bytes}}};
    offset += view.bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + sizeof(std::uint64_t) + kAlignment - 1) / kAlignment * kAlignment - sizeof(std::uint64_t),
              ' ');
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char *>(&length), sizeof length) + text;
}

} // namespace

void write_safetensors(const std::string &path, const TensorSource &source, const std::vector<std::string> &names,
                       const std::function<void(std::uint64_t done, std::uint64_t total)> &progress) {
  std::uint64_t total = 0, done = 0;
  for (const std::string &name : names)
    total += source.find(name)->bytes;
  OutputFile file(path);
  const std::string header = header_text(source, names);
  file.write(0, std::as_bytes(std::span(header)));
  for (const std::string &name : names) {
    const TensorView &view = *source.find(name);
    if (view.data != nullptr)
      file.write(header.size() + done, {view.data, view.bytes});
    else
      file.write(header.size() + done, source.make(name));
    source.release(name);
    done += view.bytes;
    progress(done, total);
  }
  file.finish();
}

} // namespace abyssal
