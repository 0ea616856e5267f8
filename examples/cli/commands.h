// The subcommands. Each adds itself to the program and returns what runs it: the exit status, or it throws.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <stdexcept>

namespace cli {

constexpr int kOk = 0;
constexpr int kFailed = 1; // the operation failed, or `verify` found a miss
constexpr int kUsage = 2;  // wrong use

// Wrong use that the option parser cannot see.
class UsageError : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

using Command = std::function<int()>;

Command add_bench(CLI::App &app);
Command add_chat(CLI::App &app);
Command add_compare(CLI::App &app);
Command add_devices(CLI::App &app);
Command add_generate(CLI::App &app);
Command add_info(CLI::App &app);
Command add_logits(CLI::App &app);
Command add_plan(CLI::App &app);
Command add_quantize(CLI::App &app);
Command add_run(CLI::App &app);
Command add_tokenize(CLI::App &app);
Command add_verify(CLI::App &app);

} // namespace cli
