// abyssal - runs DeepSeek-architecture models from the command line.
#include "commands.h"
#include "terminal.h"

#include <abyssal/abyssal.hpp>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <utility>
#include <vector>

namespace {

int run_command(const std::vector<std::pair<CLI::App *, cli::Command>> &commands) {
  for (const auto &[app, command] : commands) {
    if (app->parsed())
      return command();
  }
  return cli::kUsage;
}

int report(const char *text, int status) {
  std::fflush(stdout);
  std::fprintf(stderr, "abyssal: %s\n", text);
  return status;
}

} // namespace

int main(int argc, char **argv) {
  std::signal(SIGPIPE, SIG_IGN); // a closed pipe is seen when writing
  CLI::App app("Runs DeepSeek-architecture models. `abyssal COMMAND --help` explains each command.", "abyssal");
  app.require_subcommand(1);
  app.set_version_flag("--version", "abyssal " + abyssal::version());
  std::vector<std::pair<CLI::App *, cli::Command>> commands;
  const auto add = [&](cli::Command (*make)(CLI::App &)) {
    const std::size_t before = app.get_subcommands({}).size();
    cli::Command command = make(app);
    commands.emplace_back(app.get_subcommands({}).at(before), std::move(command));
  };
  for (const auto make :
       {cli::add_run, cli::add_chat, cli::add_info, cli::add_plan, cli::add_devices, cli::add_generate, cli::add_logits,
        cli::add_tokenize, cli::add_verify, cli::add_compare, cli::add_quantize, cli::add_bench})
    add(make);
  try {
    app.parse(argc, argv);
    return run_command(commands);
  } catch (const CLI::Success &done) { // --help, --version
    return app.exit(done);
  } catch (const CLI::ParseError &error) {
    return report((std::string(error.what()) + " (see --help)").c_str(), cli::kUsage);
  } catch (const cli::UsageError &error) {
    return report(error.what(), cli::kUsage);
  } catch (const abyssal::error &error) {
    return report(error.what(), cli::kFailed);
  } catch (const std::bad_alloc &) {
    return report("out of memory", cli::kFailed);
  } catch (const std::exception &error) {
    return report(error.what(), cli::kFailed);
  }
}
