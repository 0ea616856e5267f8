// The options that every subcommand with a model shares, and opening it.
#pragma once

#include "commands.h"

#include <abyssal/abyssal.hpp>

#include <cstdint>
#include <string>

namespace cli {

constexpr unsigned kMostThreads = 1024;

// Of a word that the parser has checked: stored, int8 or int4.
aby_weights_kind weights_of(const std::string &name);

// As the options call it.
const char *dtype_name(aby_dtype dtype);

class ModelOptions {
public:
  enum class Model { kRequired, kBundled };
  // Adds MODEL and the options to a subcommand; kBundled: without MODEL, the model that comes along is taken.
  // with_mtp: --mtp too.
  void add(CLI::App &command, bool with_mtp = false, Model model = Model::kRequired);

  const std::string &path() const noexcept { return path_; }
  unsigned threads = 0;
  std::uint64_t cache_tokens = 0;
  bool mtp = false;
  aby_weights_kind weights() const;
  // Takes float32 for weights as they are stored, unless --activations says something.
  void prefer_f32();

  // The options as the library takes them; strings stay owned by this object.
  aby_model_options options() const;
  // Opens the model, with a progress bar on a terminal.
  abyssal::model open() const { return open(options()); }
  // The same with options that were changed.
  abyssal::model open(aby_model_options changed) const;

private:
  std::string path_, backend_, activations_ = "auto", cache_ = "auto", attention_ = "auto", tokenizer_,
                               weights_ = "stored", packed_cache_;
  bool packed_cache_check_ = false;
  std::uint32_t absorb_below_ = 0;
};

// The folder of the model that comes with the command: ../share/abyssal/models/abyssal-tiny-r1 beside the program's own
// folder, in an installation as in a build. Throws UsageError where it is not there.
std::string bundled_model();

// Throws UsageError unless text is valid UTF-8: arguments come as bytes.
void check_utf8(const std::string &text, const char *what);

// The text of a -p or TEXT argument: "-" is standard input, "@FILE" a file's content.
std::string read_argument(const std::string &text, const char *what);

} // namespace cli
