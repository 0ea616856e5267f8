// tokenize: text to token ids.
#include "commands.h"
#include "model_options.h"
#include "terminal.h"
#include "token_list.h"

#include <memory>

namespace cli {

namespace {

struct TokenizeOptions {
  ModelOptions model;
  std::string text;
  bool json = false, bos = false, plain = false;
};

int tokenize(const TokenizeOptions &options) {
  const std::string text = options.text == "-" ? read_argument("-", "the text") : options.text;
  check_utf8(text, "the text");
  const abyssal::model model = options.model.open();
  const auto flags =
      static_cast<std::uint32_t>((options.bos ? ABY_TOKENIZE_ADD_BOS : 0) | (options.plain ? ABY_TOKENIZE_PLAIN : 0));
  const std::vector<std::int32_t> tokens = model.tokenize(text, flags);
  if (options.json) {
    print_json({{"tokens", tokens}});
    return kOk;
  }
  for (const std::int32_t token : tokens) // each piece as a JSON text: white space and parts of characters show
    print(std::to_string(token) + "\t" +
          nlohmann::ordered_json(model.detokenize({token}))
              .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
          "\n");
  return kOk;
}

} // namespace

Command add_tokenize(CLI::App &app) {
  CLI::App *command = app.add_subcommand("tokenize", "Token ids of a text, with their pieces");
  const auto options = std::make_shared<TokenizeOptions>();
  options->model.add(*command);
  command->add_option("TEXT", options->text, "the text; - reads standard input")->required();
  command->add_flag("--json", options->json, "print one object: tokens");
  command->add_flag("--bos", options->bos, "begin with the BOS token if the checkpoint asks for one");
  command->add_flag("--plain", options->plain, "treat markers of special tokens as ordinary text");
  return [options] { return tokenize(*options); };
}

} // namespace cli
