#include "model_options.h"

#include "terminal.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

namespace cli {

namespace {

aby_dtype dtype_of(const std::string &name) {
  if (name == "f32")
    return ABY_DTYPE_F32;
  if (name == "int8")
    return ABY_DTYPE_I8;
  if (name == "int16")
    return ABY_DTYPE_I16;
  return name == "bf16" ? ABY_DTYPE_BF16 : ABY_DTYPE_AUTO;
}

aby_attention_kind attention_of(const std::string &name) {
  if (name == "absorbed")
    return ABY_ATTENTION_ABSORBED;
  return name == "expanded" ? ABY_ATTENTION_EXPANDED : ABY_ATTENTION_AUTO;
}

} // namespace

void ModelOptions::add(CLI::App &command, bool with_mtp, Model model) {
  std::string help = "folder with config.json, *.safetensors and tokenizer.json, or a GGUF file";
  if (model == Model::kBundled)
    help += " (default: abyssal-tiny-r1, a small model for arithmetic that comes along)";
  command.add_option("MODEL", path_, help)->required(model == Model::kRequired);
  command.add_option("--backend", backend_, "backend by name, or a module by its path (default: the best there is)");
  command.add_option("--threads", threads, "worker threads (default: one per core)")
      ->check(CLI::Range(1u, kMostThreads));
  command
      .add_option(
          "--activations", activations_,
          "arithmetic: auto (bf16 for weights in bf16, f16 or fp8, else f32; for quantised weights int8, or int16 "
          "with --weights int8), f32 everywhere, bf16 in its place, or int8 or int16 for quantised weights")
      ->check(CLI::IsMember({"auto", "f32", "bf16", "int8", "int16"}));
  command
      .add_option("--weights", weights_,
                  "how weights are held: stored (default), or rounded to int8 or int4 while they are loaded")
      ->check(CLI::IsMember({"stored", "int8", "int4"}));
  command.add_option(
      "--packed-cache", packed_cache_,
      "keep prepared weights in a file, so that the next start is quick: a folder, or `beside` the model");
  command.add_flag("--packed-cache-check", packed_cache_check_, "read that file whole and compare its hashes");
  command
      .add_option(
          "--cache", cache_,
          "type of cached rows: f32, bf16, int8, or auto (bf16 for quantised weights, else that of activations)")
      ->check(CLI::IsMember({"auto", "f32", "bf16", "int8"}));
  command.add_option("--cache-tokens", cache_tokens,
                     "tokens that the cache holds (default: the context, at most 32768)");
  command.add_option("--absorb-below", absorb_below_, "absorbed attention below this many new tokens (default 128)");
  command
      .add_option("--attention", attention_,
                  "form of MLA attention: auto (by --absorb-below), or one only: absorbed or expanded")
      ->check(CLI::IsMember({"auto", "absorbed", "expanded"}));
  command.add_option("--tokenizer", tokenizer_, "folder with tokenizer.json (default: MODEL)");
  if (with_mtp)
    command.add_flag("--mtp", mtp, "load the multi-token-prediction layer too");
}

aby_weights_kind weights_of(const std::string &name) {
  if (name == "int8")
    return ABY_WEIGHTS_INT8;
  return name == "int4" ? ABY_WEIGHTS_INT4 : ABY_WEIGHTS_STORED;
}

const char *dtype_name(aby_dtype dtype) {
  switch (dtype) {
  case ABY_DTYPE_BF16:
    return "bf16";
  case ABY_DTYPE_I8:
    return "int8";
  case ABY_DTYPE_I16:
    return "int16";
  default:
    return "f32";
  }
}

aby_weights_kind ModelOptions::weights() const { return weights_of(weights_); }

void ModelOptions::prefer_f32() {
  if (activations_ == "auto" && weights() == ABY_WEIGHTS_STORED)
    activations_ = "f32";
}

aby_model_options ModelOptions::options() const {
  aby_model_options options = abyssal::default_model_options();
  options.backend = backend_.empty() ? nullptr : backend_.c_str();
  options.threads = threads;
  options.activations = dtype_of(activations_);
  options.cache_dtype = dtype_of(cache_);
  options.cache_tokens = cache_tokens;
  options.absorb_below = absorb_below_;
  options.attention = attention_of(attention_);
  options.tokenizer = tokenizer_.empty() ? nullptr : tokenizer_.c_str();
  options.mtp = mtp ? 1 : 0;
  options.weights = weights();
  if (!packed_cache_.empty())
    options.packed_cache = packed_cache_ == "beside" ? "" : packed_cache_.c_str();
  options.packed_cache_check = packed_cache_check_ ? 1 : 0;
  options.warning = [](void *, const char *text) { std::fprintf(stderr, "abyssal: %s\n", text); };
  return options;
}

abyssal::model ModelOptions::open(aby_model_options changed) const {
  const std::string path = path_.empty() ? bundled_model() : path_;
  ProgressBar bar("loading");
  changed.progress_context = &bar;
  changed.progress = [](void *context, aby_stage stage, std::uint64_t done, std::uint64_t total) {
    if (stage == ABY_STAGE_WEIGHTS)
      static_cast<ProgressBar *>(context)->show(done, total);
    return 0;
  };
  return abyssal::model(path, changed);
}

std::string bundled_model() {
  namespace fs = std::filesystem;
  const fs::path program = fs::read_symlink("/proc/self/exe");
  const fs::path folder = program.parent_path().parent_path() / "share/abyssal/models/abyssal-tiny-r1";
  if (!fs::exists(folder / "config.json"))
    throw UsageError("MODEL is missing, and the model that comes along is not at " + folder.string());
  return folder.string();
}

void check_utf8(const std::string &text, const char *what) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xc2 && lead < 0xe0 ? 2
                               : lead >= 0xe0 && lead < 0xf0 ? 3
                               : lead >= 0xf0 && lead < 0xf5 ? 4
                                                             : 0;
    bool good = length > 0 && i + length <= text.size();
    for (std::size_t j = 1; good && j < length; ++j)
      good = (static_cast<unsigned char>(text[i + j]) & 0xc0) == 0x80;
    if (!good)
      throw UsageError(std::string(what) + " is not valid UTF-8 at byte " + std::to_string(i));
    i += length;
  }
}

std::string read_argument(const std::string &text, const char *what) {
  std::string result = text;
  if (text == "-") {
    result.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else if (text.size() > 1 && text.front() == '@') {
    std::ifstream file(text.substr(1), std::ios::binary);
    if (!file)
      throw UsageError(text.substr(1) + ": cannot be read");
    result.assign(std::istreambuf_iterator<char>(file), {});
  }
  check_utf8(result, what);
  return result;
}

} // namespace cli
