// logits: of the last tokens, as a NumPy file.
#include "commands.h"
#include "model_options.h"
#include "terminal.h"
#include "token_list.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace cli {

namespace {

struct LogitsOptions {
  ModelOptions model;
  std::string tokens, output;
  std::uint64_t last = 1;
  std::uint32_t chunk = 0;
};

// A version 1.0 .npy header for float32 [rows, cols], C order; its length is a multiple of 64.
std::string npy_header(std::int64_t rows, std::int64_t cols) {
  std::string dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
                     std::to_string(cols) + "), }";
  constexpr std::size_t kPrefix = 10;
  dict.append((64 - (kPrefix + dict.size() + 1) % 64) % 64, ' ');
  dict += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(dict.size() & 0xff);
  header += static_cast<char>(dict.size() >> 8);
  return header + dict;
}

// Written beside the target and then renamed: a failed run leaves no half file.
void write_file(const std::string &path, std::string_view header, std::string_view data) {
  const std::string part = path + ".part";
  const auto failed = [&](const char *what) -> std::runtime_error {
    const std::string reason = std::strerror(errno);
    std::remove(part.c_str());
    return std::runtime_error(path + ": cannot be " + what + ": " + reason);
  };
  std::FILE *file = std::fopen(part.c_str(), "wb");
  if (file == nullptr)
    throw failed("written");
  const bool written = std::fwrite(header.data(), 1, header.size(), file) == header.size() &&
                       std::fwrite(data.data(), 1, data.size(), file) == data.size();
  if ((std::fclose(file) != 0) || !written)
    throw failed("written");
  if (std::rename(part.c_str(), path.c_str()) != 0)
    throw failed("renamed");
}

int logits(const LogitsOptions &options) {
  const std::vector<std::int32_t> tokens = read_tokens(options.tokens);
  const abyssal::model model = options.model.open();
  abyssal::sequence sequence(model);
  aby_eval_options eval = abyssal::default_eval_options();
  eval.logits = options.last;
  eval.chunk = options.chunk;
  sequence.eval(tokens, eval);
  const aby_array array = sequence.logits();
  const std::string header = npy_header(array.shape[0], array.shape[1]);
  const std::string_view data(static_cast<const char *>(array.data),
                              static_cast<std::size_t>(array.shape[0] * array.shape[1]) * sizeof(float));
  if (options.output == "-") {
    print(header);
    print(data);
  } else {
    write_file(options.output, header, data);
  }
  return kOk;
}

} // namespace

Command add_logits(CLI::App &app) {
  CLI::App *command = app.add_subcommand("logits", "Logits of the last tokens: float32 [N, vocabulary] as a .npy file");
  const auto options = std::make_shared<LogitsOptions>();
  options->model.add(*command);
  command->add_option("--tokens", options->tokens, "token ids: 0,5,7 or @FILE")->required();
  command->add_option("--last", options->last, "of how many of the last tokens (default 1)")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40));
  command->add_option("--chunk", options->chunk, "tokens of one pass (default: 1024, or 512 for wide models)");
  command->add_option("-o,--output", options->output, "file to write; - is standard output")->required();
  return [options] { return logits(*options); };
}

} // namespace cli
