// generate: tokens in, tokens out.
#include "commands.h"
#include "model_options.h"
#include "reply.h"
#include "terminal.h"
#include "token_list.h"

#include <memory>

namespace cli {

namespace {

struct GenerateOptions {
  ModelOptions model;
  SamplingOptions sampling;
  std::string tokens;
  bool json = false;
};

int generate(const GenerateOptions &options) {
  const std::vector<std::int32_t> prompt = read_tokens(options.tokens);
  const abyssal::model model = options.model.open();
  abyssal::sequence sequence(model);
  ReplyOptions sampling = options.sampling.options(model);
  sampling.raw.plain = 1;
  abyssal::generation generation(sequence, prompt, sampling.raw);
  const InterruptCancels interrupt(generation);
  const Reply reply = finish_reply(generation, nullptr);
  std::vector<std::int32_t> tokens = reply.tokens;
  if (reply.last >= 0) // the one that ended it
    tokens.push_back(reply.last);
  if (options.json)
    print_json({{"tokens", tokens}, {"finish_reason", reply.finish_reason()}, {"usage", reply.usage()}});
  else
    print(tokens_text(tokens) + "\n");
  return kOk;
}

} // namespace

Command add_generate(CLI::App &app) {
  CLI::App *command = app.add_subcommand("generate", "Continues token ids with token ids");
  const auto options = std::make_shared<GenerateOptions>();
  options->model.add(*command);
  command->add_option("--tokens", options->tokens, "the prompt's ids: 0,5,7 or @FILE")->required();
  command->add_flag("--json", options->json, "print one object: tokens (the new ones), finish_reason, usage");
  options->sampling.add(*command);
  return [options] { return generate(*options); };
}

} // namespace cli
