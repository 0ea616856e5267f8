// quantize: a checkpoint written anew with rounded weights.
#include "commands.h"
#include "model_options.h"
#include "terminal.h"

#include <memory>

namespace cli {

namespace {

struct QuantizeOptions {
  std::string from, to, weights = "int8";
  unsigned threads = 0;
};

} // namespace

Command add_quantize(CLI::App &app) {
  CLI::App *command =
      app.add_subcommand("quantize", "Writes a checkpoint with weights rounded to int8 or int4, which opens faster");
  const auto options = std::make_shared<QuantizeOptions>();
  command->add_option("IN", options->from, "folder with config.json and *.safetensors")->required();
  command->add_option("OUT", options->to, "folder to make")->required();
  command->add_option("--weights", options->weights, "int8 (default) or int4")->check(CLI::IsMember({"int8", "int4"}));
  command->add_option("--threads", options->threads, "threads that round (default: one per core)")
      ->check(CLI::Range(1u, kMostThreads));
  return [options] {
    ProgressBar bar("writing");
    aby_model_options raw = abyssal::default_model_options();
    raw.weights = weights_of(options->weights);
    raw.threads = options->threads;
    raw.progress_context = &bar;
    raw.progress = [](void *context, aby_stage stage, std::uint64_t done, std::uint64_t total) {
      if (stage == ABY_STAGE_WEIGHTS)
        static_cast<ProgressBar *>(context)->show(done, total);
      return 0;
    };
    abyssal::model::quantize(options->from, options->to, raw);
    return kOk;
  };
}

} // namespace cli
