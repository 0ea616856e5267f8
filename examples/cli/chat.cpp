// chat: a conversation. The sequence is kept between turns; of each new prompt only what differs is evaluated.
#include "commands.h"
#include "model_options.h"
#include "reply.h"
#include "terminal.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>
#include <unistd.h>
#include <utility>

namespace cli {

namespace {

using Json = nlohmann::ordered_json;

struct ChatOptions {
  ModelOptions model;
  SamplingOptions sampling;
  std::string system;
};

constexpr const char *kHelp = "/help          this list\n"
                              "/clear         forget the conversation\n"
                              "/system TEXT   set the system message and start again\n"
                              "/quit          leave (as Ctrl-D)\n"
                              "Ctrl-C stops a reply.\n";

void ignore_interrupt(int) {} // lets read() return early at the prompt

// Lines from standard input, read byte by byte from the system: a Ctrl-C at the prompt must be seen.
class Lines {
public:
  enum class Got { kLine, kInterrupt, kEnd };

  Got next(std::string &line) {
    line.clear();
    struct sigaction action{};
    action.sa_handler = ignore_interrupt; // without SA_RESTART
    sigaction(SIGINT, &action, nullptr);
    while (true) {
      const auto end = buffer_.find('\n');
      if (end != std::string::npos) {
        line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return Got::kLine;
      }
      char bytes[4096];
      const ssize_t count = read(STDIN_FILENO, bytes, sizeof bytes);
      if (count < 0 && errno == EINTR)
        return Got::kInterrupt;
      if (count <= 0) {
        line = std::exchange(buffer_, "");
        return line.empty() ? Got::kEnd : Got::kLine;
      }
      buffer_.append(bytes, static_cast<std::size_t>(count));
    }
  }

private:
  std::string buffer_;
};

class Conversation {
public:
  Conversation(const ChatOptions &options, const abyssal::model &model)
      : options_(options), model_(model), sequence_(model), interactive_(isatty(STDIN_FILENO) == 1) {
    if (model.info().has_tokenizer != 0 && model.info().has_chat_template == 0)
      throw std::runtime_error(options.model.path() + ": the model has no chat template; try `abyssal run --raw`");
    restart(options.system);
  }

  int run() {
    if (interactive_)
      print("Type a message, or /help.\n");
    Lines lines;
    std::string line;
    bool warned = false;
    while (true) {
      if (interactive_)
        print("> ");
      const Lines::Got got = lines.next(line);
      if (got == Lines::Got::kEnd || (got == Lines::Got::kInterrupt && warned)) {
        if (interactive_)
          print("\n");
        return kOk;
      }
      warned = got == Lines::Got::kInterrupt;
      if (warned) {
        print("\n(Ctrl-C again or Ctrl-D leaves)\n");
        continue;
      }
      if (!handle(line))
        return kOk;
    }
  }

private:
  void restart(const std::string &system) {
    system_ = system;
    messages_ = Json::array();
    if (!system.empty())
      messages_.push_back({{"role", "system"}, {"content", system}});
  }

  // False: leave.
  bool handle(const std::string &line) {
    if (line.empty())
      return true;
    if (line == "/quit" || line == "/exit")
      return false;
    if (line == "/help")
      print(kHelp);
    else if (line == "/clear")
      restart(system_);
    else if (line.rfind("/system ", 0) == 0)
      restart(line.substr(8));
    else
      answer(line);
    return true;
  }

  void answer(const std::string &text) {
    try {
      check_utf8(text, "the message");
      messages_.push_back({{"role", "user"}, {"content", text}});
      const Reply reply = stream(prompt());
      if (reply.reason == ABY_FINISH_CANCELLED && interactive_)
        print("(stopped)\n");
      messages_.push_back({{"role", "assistant"}, {"content", reply.content}});
    } catch (const abyssal::error &error) { // the conversation goes on without this message
      drop_question();
      print(std::string("abyssal: ") + error.what() + "\n");
    } catch (const UsageError &error) {
      print(std::string("abyssal: ") + error.what() + "\n");
    }
  }

  void drop_question() {
    if (!messages_.empty() && messages_.back()["role"] == "user")
      messages_.erase(messages_.size() - 1);
  }

  std::vector<std::int32_t> prompt() const {
    return model_.tokenize(model_.render_chat(messages_.dump(-1, ' ', false, Json::error_handler_t::replace)));
  }

  // Keeps what the sequence and the new prompt have in common; at least one token is left to evaluate.
  Reply stream(const std::vector<std::int32_t> &wanted) {
    const std::vector<std::int32_t> have = sequence_.tokens();
    const auto differ = std::mismatch(have.begin(), have.end(), wanted.begin(), wanted.end()).first;
    const auto common = std::min<std::size_t>(static_cast<std::size_t>(differ - have.begin()), wanted.size() - 1);
    sequence_.truncate(common);
    const ReplyOptions sampling = options_.sampling.options(model_);
    abyssal::generation generation(sequence_, {wanted.begin() + static_cast<std::ptrdiff_t>(common), wanted.end()},
                                   sampling.raw);
    const InterruptCancels interrupt(generation);
    ReplyPrinter printer;
    const Reply reply =
        finish_reply(generation, [&](aby_text_kind kind, std::string_view piece) { printer(kind, piece); });
    printer.end();
    return reply;
  }

  const ChatOptions &options_;
  abyssal::model model_;
  abyssal::sequence sequence_;
  bool interactive_;
  std::string system_;
  Json messages_;
};

} // namespace

Command add_chat(CLI::App &app) {
  CLI::App *command = app.add_subcommand("chat", "A conversation. Ctrl-C stops a reply, not the program. Piped, each "
                                                 "line of standard input is a message");
  const auto options = std::make_shared<ChatOptions>();
  options->model.add(*command, false, ModelOptions::Model::kBundled);
  command->add_option("--system", options->system, "a system message");
  options->sampling.add(*command);
  return [options] {
    check_utf8(options->system, "the system message");
    return Conversation(*options, options->model.open()).run();
  };
}

} // namespace cli
