// Sampling options, streaming a reply, and Ctrl-C that cancels it.
#pragma once

#include "model_options.h"

#include <nlohmann/json.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace cli {

// With the constraint that it points at.
struct ReplyOptions {
  aby_reply_options raw;
  std::shared_ptr<aby_constraint> constraint;
};

class SamplingOptions {
public:
  void add(CLI::App &command);
  // Compiles the constraint, if there is one.
  ReplyOptions options(const abyssal::model &model) const;

private:
  std::uint64_t max_tokens_ = ABY_NO_LIMIT, seed_ = ABY_SEED_RANDOM;
  bool greedy_ = false, ignore_eos_ = false;
  float temperature_ = -1, top_p_ = -1, min_p_ = -1;
  std::int32_t top_k_ = -1;
  std::string json_schema_, regex_, grammar_; // of which one is not empty at most
};

// A finished reply.
struct Reply {
  std::string reasoning, content;
  std::vector<std::int32_t> tokens; // the new ones; an end-of-sequence token is not among them
  std::int32_t last = -1;           // the token that ended it, if one did
  aby_finish_reason reason = ABY_FINISH_NONE;
  std::uint64_t prompt_tokens = 0, completion_tokens = 0, reasoning_tokens = 0;
  std::uint64_t seed = 0;

  const char *finish_reason() const;
  nlohmann::ordered_json usage() const;
};

// Catches SIGINT while it lives: the running reply is cancelled instead of the program. A thread of its own waits for
// the signal, so that a long prompt is interrupted too.
class InterruptCancels {
public:
  explicit InterruptCancels(const abyssal::generation &generation);
  ~InterruptCancels();
  InterruptCancels(const InterruptCancels &) = delete;
  InterruptCancels &operator=(const InterruptCancels &) = delete;

private:
  std::atomic<bool> done_{false};
  std::thread watcher_;
};

// Called with each piece of text as it comes.
using OnText = std::function<void(aby_text_kind kind, std::string_view text)>;

// Steps until the end.
Reply finish_reply(abyssal::generation &generation, const OnText &on_text);

// Shows a reply as it streams: on a terminal the reasoning is dimmed; elsewhere it stands between <think> and </think>.
class ReplyPrinter {
public:
  void operator()(aby_text_kind kind, std::string_view text);
  void end();

private:
  void close_reasoning();
  bool reasoning_ = false, any_ = false;
  bool terminal_ = true;
  bool started_ = false;
};

} // namespace cli
