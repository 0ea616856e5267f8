#include "load/quantise_checkpoint.h"

#include "base/status.h"
#include "load/checkpoint.h"
#include "load/rounding.h"
#include "weights/safetensors_writer.h"

#include <filesystem>
#include <thread>

namespace abyssal {

namespace {

namespace fs = std::filesystem;

// Besides config.json; those that are there.
constexpr const char *kFiles[] = {"generation_config.json", "tokenizer.json", "tokenizer_config.json",
                                  "chat_template.jinja", "special_tokens_map.json"};

void copy_one(const fs::path &from, const fs::path &to) {
  std::error_code error;
  if (!fs::copy_file(from, to, fs::copy_options::overwrite_existing, error))
    fail(ABY_ERROR_IO, to.string(), ": cannot be copied from ", from.string(), ": ", error.message());
}

void make_folder(const fs::path &out) {
  if (fs::exists(out / "config.json"))
    fail(ABY_ERROR_INVALID_ARGUMENT, out.string(), ": holds a config.json already; expected a folder to be made");
  std::error_code error;
  fs::create_directories(out, error);
  if (error)
    fail(ABY_ERROR_IO, out.string(), ": cannot be made: ", error.message());
}

// Published checkpoints say that there is an MTP layer, and some leave it out.
bool has_mtp(const Checkpoint &checkpoint) {
  const std::string name = concat("model.layers.", checkpoint.spec.layer_count(), ".eh_proj.weight");
  return checkpoint.spec.mtp && checkpoint.source->find(name) != nullptr;
}

} // namespace

void quantise_checkpoint(const std::string &path, const std::string &out, const ModelOptions &options) {
  const auto report = [&](aby_stage stage, std::uint64_t done, std::uint64_t total) {
    if (options.progress && !options.progress(stage, done, total))
      fail(ABY_ERROR_CANCELLED, "writing the checkpoint was cancelled");
  };
  if (options.weights == ABY_WEIGHTS_STORED)
    fail(ABY_ERROR_INVALID_ARGUMENT, "weights is ABY_WEIGHTS_STORED; expected what they are to be rounded to");
  report(ABY_STAGE_READ, 0, 1);
  const Checkpoint checkpoint = open_checkpoint(path);
  if (checkpoint.gguf != nullptr)
    fail(ABY_ERROR_UNSUPPORTED, path, ": is a GGUF model; a folder with config.json and *.safetensors can be rounded");
  const unsigned threads =
      options.device_options.threads != 0 ? options.device_options.threads : std::thread::hardware_concurrency();
  const auto source =
      quantised_source(checkpoint.source, checkpoint.spec, has_mtp(checkpoint), options.weights, threads);
  report(ABY_STAGE_READ, 1, 1);

  // kv_b_proj that is joined from its halves need not be written beside them.
  std::vector<std::string> names;
  for (std::string &name : source->names()) {
    if (!name.ends_with("kv_b_proj.weight") || source->find(name)->data != nullptr)
      names.push_back(std::move(name));
  }
  const fs::path from(path), to(out);
  make_folder(to);
  write_safetensors((to / "model.safetensors").string(), *source, names,
                    [&](std::uint64_t done, std::uint64_t total) { report(ABY_STAGE_WEIGHTS, done, total); });
  for (const char *file : kFiles) {
    if (fs::exists(from / file))
      copy_one(from / file, to / file);
  }
  copy_one(from / "config.json", to / "config.json");
}

} // namespace abyssal
