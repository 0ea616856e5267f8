// Replies: sampling, ends, cancelling, reasoning.
#include "support/api.h"

#include <atomic>
#include <chrono>
#include <thread>

namespace {

using namespace test;

struct Reply {
  std::vector<std::int32_t> tokens;
  std::string content, reasoning;
  aby_event end;
};

Generation start(const Sequence &s, const std::vector<std::int32_t> &prompt, const aby_generation_options &options) {
  aby_generation *raw = nullptr;
  ABY_REQUIRE(aby_generation_create(&raw, s.get(), prompt.data(), prompt.size(), &options));
  return Generation(raw);
}

Reply finish(const Generation &generation) {
  Reply reply;
  reply.end = make<aby_event>(aby_event_init);
  do {
    ABY_REQUIRE(aby_generation_step(&reply.end, generation.get()));
    if (reply.end.kind == ABY_EVENT_TOKEN)
      reply.tokens.push_back(reply.end.token);
    (reply.end.text_kind == ABY_TEXT_REASONING ? reply.reasoning : reply.content)
        .append(reply.end.text, reply.end.text_length);
  } while (reply.end.kind != ABY_EVENT_END);
  return reply;
}

Reply reply(const Model &model, const aby_generation_options &options, const std::vector<std::int32_t> &prompt = {5, 6, 7}) {
  const Sequence s = sequence(model);
  return finish(start(s, prompt, options));
}

aby_generation_options limited(std::uint64_t max_tokens) {
  aby_generation_options options = generation_options();
  options.max_tokens = max_tokens;
  options.ignore_eos = 1;
  return options;
}

} // namespace

TEST_CASE("the same seed gives the same reply, another seed another") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  aby_generation_options options = limited(24);
  options.temperature = 1.5f;
  options.top_p = 1;
  options.seed = 1;
  const auto first = reply(model, options).tokens;
  CHECK(reply(model, options).tokens == first);
  options.seed = 2;
  CHECK(reply(model, options).tokens != first);
}

TEST_CASE("top_k of 1 is greedy at any temperature") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  aby_generation_options options = limited(16);
  options.temperature = 0;
  const auto greedy = reply(model, options).tokens;
  options.temperature = 2;
  options.top_k = 1;
  CHECK(reply(model, options).tokens == greedy);
  options.top_k = 0;
  options.min_p = 1;
  CHECK(reply(model, options).tokens == greedy);
  options.min_p = 0;
  options.top_p = 1e-6f;
  CHECK(reply(model, options).tokens == greedy);
}

TEST_CASE("a reply ends at a stop token, at max_tokens, and when the context is full") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  aby_generation_options options = limited(16);
  options.temperature = 0;
  const Reply whole = reply(model, options);
  CHECK(whole.end.finish_reason == ABY_FINISH_LENGTH);
  CHECK(whole.end.completion_tokens == 16);
  CHECK(whole.end.prompt_total == 3);
  CHECK(whole.end.prompt_done == 3);

  const std::int32_t stop = whole.tokens[5];
  options.stop_tokens = &stop;
  options.stop_token_count = 1;
  const Reply stopped = reply(model, options);
  CHECK(stopped.end.finish_reason == ABY_FINISH_STOP);
  CHECK(stopped.end.token == stop);
  CHECK(stopped.tokens.size() <= 5);

  aby_model_options small = model_options();
  small.cache_tokens = 64;
  const Model tight = open(checkpoint("tiny-v2-lite"), small);
  const Reply full = reply(tight, limited(0));
  CHECK(full.end.finish_reason == ABY_FINISH_LENGTH);
  CHECK(full.tokens.size() == 64 - 3 + 1); // the last token drawn need not be evaluated
}

TEST_CASE("steps after the end repeat it, and a reply can go on from a sequence that has logits") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  aby_generation_options options = limited(8);
  options.temperature = 0;
  const auto want = reply(model, options).tokens;
  const Sequence s = sequence(model);
  eval(s, {5, 6, 7}, eval_options());
  const Generation generation = start(s, {}, options);
  CHECK(finish(generation).tokens == want);
  const Reply again = finish(generation);
  CHECK(again.tokens.empty());
  CHECK(again.end.finish_reason == ABY_FINISH_LENGTH);

  const Sequence empty = sequence(model);
  aby_generation *raw = nullptr;
  CHECK(aby_generation_create(&raw, empty.get(), nullptr, 0, &options) == ABY_ERROR_STATE);
  options.top_p = 1.5f;
  const std::int32_t token = 1;
  CHECK(aby_generation_create(&raw, empty.get(), &token, 1, &options) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(raw == nullptr);
}

TEST_CASE("cancelling ends a reply, also inside a long prompt, and the sequence stays usable") {
  const Model model = open(checkpoint("tiny-v2-lite"), "reference");
  const Sequence s = sequence(model);
  aby_generation_options options = limited(100);
  const Generation before = start(s, {1, 2, 3}, options);
  ABY_REQUIRE(aby_generation_cancel(before.get()));
  CHECK(finish(before).end.finish_reason == ABY_FINISH_CANCELLED);
  CHECK(length(s) == 0);

  const std::vector<std::int32_t> prompt(1000, 9);
  options.chunk = 1000;
  const Generation running = start(s, prompt, options);
  std::atomic<bool> started{false};
  std::thread other([&] {
    while (!started)
      std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    aby_generation_cancel(running.get());
  });
  started = true;
  const Reply cancelled = finish(running);
  other.join();
  CHECK(cancelled.end.finish_reason == ABY_FINISH_CANCELLED);
  ABY_REQUIRE(aby_sequence_truncate(s.get(), 0));
  eval(s, {1}, eval_options());
}

TEST_CASE("children keep the model alive whatever the order of destruction") {
  Generation generation;
  {
    const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
    const Sequence s = sequence(model);
    generation = start(s, {1, 2, 3}, limited(4));
  }
  CHECK(finish(generation).tokens.size() == 4);
}
