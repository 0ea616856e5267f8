// run: one prompt, one reply.
#include "commands.h"
#include "model_options.h"
#include "reply.h"
#include "terminal.h"

#include <memory>

namespace cli {

namespace {

struct RunOptions {
  ModelOptions model;
  SamplingOptions sampling;
  std::string prompt, system;
  bool raw = false, json = false;
};

std::vector<std::int32_t> prompt_tokens(const abyssal::model &model, const RunOptions &options) {
  const std::string prompt = read_argument(options.prompt, "the prompt");
  if (options.raw)
    return model.tokenize(prompt, ABY_TOKENIZE_ADD_BOS);
  if (model.info().has_tokenizer != 0 && model.info().has_chat_template == 0)
    throw std::runtime_error(options.model.path() +
                             ": the model has no chat template; use --raw to send the text as it is");
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  if (!options.system.empty())
    messages.push_back({{"role", "system"}, {"content", read_argument(options.system, "the system message")}});
  messages.push_back({{"role", "user"}, {"content", prompt}});
  return model.tokenize(model.render_chat(messages.dump()));
}

int run(const RunOptions &options) {
  const abyssal::model model = options.model.open();
  const std::vector<std::int32_t> prompt = prompt_tokens(model, options);
  if (prompt.empty())
    throw UsageError("the prompt is empty");
  abyssal::sequence sequence(model);
  const ReplyOptions sampling = options.sampling.options(model);
  abyssal::generation generation(sequence, prompt, sampling.raw);
  const InterruptCancels interrupt(generation);
  if (options.json) {
    const Reply reply = finish_reply(generation, nullptr);
    print_json({{"reasoning", reply.reasoning},
                {"content", reply.content},
                {"finish_reason", reply.finish_reason()},
                {"usage", reply.usage()}});
    return kOk;
  }
  ReplyPrinter printer;
  finish_reply(generation, [&](aby_text_kind kind, std::string_view text) { printer(kind, text); });
  printer.end();
  return kOk;
}

} // namespace

Command add_run(CLI::App &app) {
  CLI::App *command = app.add_subcommand(
      "run", "One prompt, one streamed reply. Reasoning is dimmed on a terminal, and between <think> tags elsewhere");
  const auto options = std::make_shared<RunOptions>();
  options->model.add(*command, false, ModelOptions::Model::kBundled);
  command->add_option("-p,--prompt", options->prompt, "the prompt; - reads standard input, @FILE a file")->required();
  command->add_option("--system", options->system, "a system message");
  command->add_flag("--raw", options->raw, "send the text as it is, without the chat template");
  command->add_flag("--json", options->json, "print one object: reasoning, content, finish_reason, usage");
  options->sampling.add(*command);
  return [options] { return run(*options); };
}

} // namespace cli
