#include "load/checkpoint.h"

#include "base/mapped_file.h"
#include "base/status.h"
#include "families/gguf_config.h"
#include "weights/gguf_source.h"
#include "weights/joined_source.h"
#include "weights/safetensors.h"

#include <filesystem>
#include <limits>

namespace abyssal {

namespace {

namespace fs = std::filesystem;

Checkpoint open_folder(const std::string &folder) {
  const fs::path base(folder);
  Checkpoint checkpoint;
  checkpoint.path = folder;
  const std::string file = (base / "config.json").string();
  checkpoint.spec = parse_config(read_text_file(file), file);
  checkpoint.identity = MappedFile::open(file)->identity(std::numeric_limits<std::size_t>::max()) + "\n";
  const std::string generation = (base / "generation_config.json").string();
  if (fs::exists(generation))
    parse_generation_config(checkpoint.spec, read_text_file(generation), generation);
  checkpoint.source = join_halves(open_safetensors_folder(folder));
  return checkpoint;
}

Checkpoint open_gguf(const std::string &path) {
  Checkpoint checkpoint;
  checkpoint.path = path;
  checkpoint.gguf = GgufModel::open(path);
  check_gguf_architecture(checkpoint.gguf->metadata());
  checkpoint.source = make_gguf_source(checkpoint.gguf);
  checkpoint.spec = parse_gguf_config(checkpoint.gguf->metadata(), *checkpoint.source);
  return checkpoint;
}

} // namespace

Checkpoint open_checkpoint(const std::string &path) {
  const fs::path given(path);
  if (!fs::exists(given))
    fail(ABY_ERROR_NOT_FOUND, path, ": there is no such file or folder");
  if (fs::is_directory(given)) {
    const std::string gguf = fs::exists(given / "config.json") ? "" : find_gguf_model(path);
    return gguf.empty() ? open_folder(path) : open_gguf(gguf);
  }
  if (given.extension() != ".gguf" && !looks_like_gguf(path))
    fail(ABY_ERROR_UNSUPPORTED, path,
         ": is a file, but not a GGUF one; expected that, or a checkpoint's folder with config.json and *.safetensors");
  return open_gguf(path);
}

TextParts read_text_parts(const Checkpoint &checkpoint) {
  try {
    if (checkpoint.gguf)
      return read_text_parts(checkpoint.gguf->metadata());
    return fs::exists(fs::path(checkpoint.path) / "tokenizer.json") ? read_text_parts(checkpoint.path) : TextParts();
  } catch (const Error &error) {
    TextParts parts;
    parts.tokenizer_error = error;
    return parts;
  }
}

} // namespace abyssal
