#include "reply.h"

#include "terminal.h"

#include <chrono>
#include <csignal>
#include <limits>

namespace cli {

namespace {

// Set by the handler, seen by the watcher.
volatile std::sig_atomic_t interrupted = 0;

void on_interrupt(int) { interrupted = 1; }

} // namespace

void SamplingOptions::add(CLI::App &command) {
  command.add_option("--max-tokens", max_tokens_, "most new tokens (default: as many as the context holds)");
  command.add_flag("--greedy", greedy_, "always the likeliest token");
  command.add_flag("--ignore-eos", ignore_eos_, "do not end at an end-of-sequence token");
  command.add_option("--temperature", temperature_, "default: the checkpoint's")->check(CLI::Range(0.0, 100.0));
  command.add_option("--top-p", top_p_, "keep the likeliest tokens of this total probability")
      ->check(CLI::Range(0.0, 1.0));
  command.add_option("--top-k", top_k_, "keep this many of the likeliest tokens; 0: all")
      ->check(CLI::Range(0, std::numeric_limits<std::int32_t>::max()));
  command.add_option("--min-p", min_p_, "keep tokens at least this share as likely as the likeliest")
      ->check(CLI::Range(0.0, 1.0));
  command.add_option("--seed", seed_, "the same seed gives the same reply (default: another one each time)");
  auto *const schema =
      command.add_option("--json-schema", json_schema_, "the answer is a JSON value of the schema in this file");
  auto *const regex = command.add_option("--regex", regex_, "the answer as a whole matches this");
  auto *const grammar =
      command.add_option("--grammar", grammar_, "the answer is a text of the Lark grammar in this file");
  schema->excludes(regex, grammar);
  regex->excludes(grammar);
  schema->transform([](const std::string &file) { return read_argument("@" + file, "--json-schema"); });
  grammar->transform([](const std::string &file) { return read_argument("@" + file, "--grammar"); });
}

ReplyOptions SamplingOptions::options(const abyssal::model &model) const {
  ReplyOptions made{abyssal::default_reply_options(), nullptr};
  aby_reply_options &options = made.raw;
  options.max_tokens = max_tokens_;
  options.ignore_eos = ignore_eos_ ? 1 : 0;
  options.temperature = greedy_ ? 0 : temperature_;
  options.top_p = top_p_;
  options.min_p = min_p_;
  options.top_k = top_k_;
  options.seed = seed_;
  const auto bind = [&](aby_constraint_kind kind, const std::string &text) {
    if (text.empty())
      return;
    made.constraint = abyssal::constraint(model, kind, text).get();
    options.constraint = made.constraint.get();
  };
  bind(ABY_CONSTRAINT_JSON_SCHEMA, json_schema_);
  bind(ABY_CONSTRAINT_REGEX, regex_);
  bind(ABY_CONSTRAINT_GRAMMAR, grammar_);
  return made;
}

const char *Reply::finish_reason() const {
  switch (reason) {
  case ABY_FINISH_STOP:
    return "stop";
  case ABY_FINISH_CANCELLED:
    return "cancelled";
  case ABY_FINISH_CONTEXT:
    return "context";
  default:
    return "length";
  }
}

nlohmann::ordered_json Reply::usage() const {
  return {{"prompt_tokens", prompt_tokens},
          {"completion_tokens", completion_tokens},
          {"reasoning_tokens", reasoning_tokens},
          {"total_tokens", prompt_tokens + completion_tokens}};
}

InterruptCancels::InterruptCancels(const abyssal::generation &generation) {
  interrupted = 0;
  std::signal(SIGINT, on_interrupt);
  watcher_ = std::thread([this, held = abyssal::generation(generation)]() mutable {
    while (!done_.load(std::memory_order_relaxed)) {
      if (interrupted != 0) {
        held.cancel();
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
}

InterruptCancels::~InterruptCancels() {
  done_.store(true, std::memory_order_relaxed);
  watcher_.join();
  std::signal(SIGINT, SIG_DFL);
}

Reply finish_reply(abyssal::generation &generation, const OnText &on_text) {
  Reply reply;
  reply.seed = generation.seed();
  for (aby_event_kind kind = ABY_EVENT_PROMPT; kind != ABY_EVENT_END;) {
    const aby_events events = generation.step();
    kind = events.kind[0];
    if (kind == ABY_EVENT_TOKEN)
      reply.tokens.push_back(events.token[0]);
    else if (kind == ABY_EVENT_END)
      reply.last = events.token[0];
    reply.reason = events.finish_reason[0];
    reply.prompt_tokens = events.prompt_total[0];
    reply.completion_tokens = events.completion_tokens[0];
    reply.reasoning_tokens = events.reasoning_tokens[0];
    const std::string_view text = abyssal::text_of(events, 0);
    if (text.empty())
      continue;
    (events.text_kind[0] == ABY_TEXT_REASONING ? reply.reasoning : reply.content).append(text);
    if (on_text)
      on_text(events.text_kind[0], text);
  }
  return reply;
}

void ReplyPrinter::operator()(aby_text_kind kind, std::string_view text) {
  if (!started_)
    terminal_ = output_is_terminal();
  started_ = true;
  const bool reasoning = kind == ABY_TEXT_REASONING;
  if (reasoning && !reasoning_)
    print(terminal_ ? "\033[2m" : "<think>\n");
  if (!reasoning && reasoning_)
    close_reasoning();
  reasoning_ = reasoning;
  any_ = true;
  print(text);
}

void ReplyPrinter::close_reasoning() { print(terminal_ ? "\033[0m\n\n" : "\n</think>\n\n"); }

void ReplyPrinter::end() {
  if (reasoning_)
    print(terminal_ ? "\033[0m" : "\n</think>");
  if (any_)
    print("\n");
  reasoning_ = any_ = false;
}

} // namespace cli
