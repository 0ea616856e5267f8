// Replies: sampling, ends, cancelling, reasoning.
#include "support/api.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
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

Reply reply(const Model &model, const aby_generation_options &options,
            const std::vector<std::int32_t> &prompt = {5, 6, 7}) {
  const Sequence s = sequence(model);
  return finish(start(s, prompt, options));
}

aby_generation_options limited(std::uint64_t max_tokens) {
  aby_generation_options options = generation_options();
  options.max_tokens = max_tokens;
  options.ignore_eos = 1;
  return options;
}

std::int64_t vocab_size(const Model &model) {
  auto info = make<aby_model_info>(aby_model_info_init);
  ABY_REQUIRE(aby_model_info_get(&info, model.get()));
  return static_cast<std::int64_t>(info.vocab_size);
}

std::vector<std::uint32_t> mask_of(std::int64_t ids, const std::vector<std::int32_t> &allowed) {
  std::vector<std::uint32_t> words(static_cast<std::size_t>((ids + 31) / 32));
  for (const std::int32_t id : allowed)
    words[static_cast<std::size_t>(id / 32)] |= std::uint32_t{1} << (id % 32);
  return words;
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

TEST_CASE("a mask holds from the next draw until it is set again or lifted") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  const std::int64_t ids = vocab_size(model);
  const auto count = static_cast<std::size_t>(ids);
  for (const float temperature : {0.0f, 1.5f}) {
    aby_generation_options options = limited(12);
    options.temperature = temperature;
    const auto free = reply(model, options).tokens;
    const std::vector<std::uint32_t> first = mask_of(ids, {40, 41}), second = mask_of(ids, {77});
    options.mask = first.data();
    options.mask_count = count;
    const Sequence s = sequence(model);
    const Generation generation = start(s, {5, 6, 7}, options);
    std::vector<std::int32_t> tokens;
    auto event = make<aby_event>(aby_event_init);
    for (int step = 0; step < 13; ++step) { // the first evaluates the prompt
      if (step == 5)
        ABY_REQUIRE(aby_generation_set_mask(generation.get(), second.data(), count));
      if (step == 7)
        ABY_REQUIRE(aby_generation_set_mask(generation.get(), nullptr, 0));
      ABY_REQUIRE(aby_generation_step(&event, generation.get()));
      if (event.kind == ABY_EVENT_TOKEN)
        tokens.push_back(event.token);
    }
    REQUIRE(tokens.size() == 12);
    for (std::size_t i = 0; i < 4; ++i)
      CHECK((tokens[i] == 40 || tokens[i] == 41));
    CHECK(tokens[4] == 77);
    CHECK(tokens[5] == 77);
    CHECK(std::count(tokens.begin() + 6, tokens.end(), 77) < 6);
    CHECK(std::count(free.begin(), free.end(), 77) < 2);
  }
}

TEST_CASE("a mask decides over end-of-sequence tokens too") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  std::vector<std::int32_t> eos(8);
  std::size_t eos_count = 0;
  ABY_REQUIRE(aby_model_eos_tokens(eos.data(), eos.size(), &eos_count, model.get()));
  REQUIRE(eos_count > 0);
  const std::int64_t ids = vocab_size(model);
  aby_generation_options options = limited(8);
  options.ignore_eos = 0;
  const std::vector<std::uint32_t> only = mask_of(ids, {eos[0]});
  options.mask = only.data();
  options.mask_count = static_cast<std::uint64_t>(ids);
  const Reply ended = reply(model, options);
  CHECK(ended.tokens.empty());
  CHECK(ended.end.finish_reason == ABY_FINISH_STOP);
  CHECK(ended.end.token == eos[0]);
}

TEST_CASE("a mask that cannot be is refused, and the one before stays") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  const std::int64_t ids = vocab_size(model);
  const auto count = static_cast<std::size_t>(ids);
  const std::vector<std::uint32_t> mask = mask_of(ids, {9});
  std::vector<std::uint32_t> none = mask_of(ids, {});
  aby_generation_options options = limited(3);
  const Sequence s = sequence(model);
  const Generation generation = start(s, {5}, options);
  ABY_REQUIRE(aby_generation_set_mask(generation.get(), mask.data(), count));
  CHECK(aby_generation_set_mask(generation.get(), mask.data(), count - 1) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(std::string(aby_last_error()) ==
        "mask has " + std::to_string(ids - 1) + " ids; the vocabulary has " + std::to_string(ids));
  CHECK(aby_generation_set_mask(generation.get(), nullptr, count) == ABY_ERROR_INVALID_ARGUMENT);
  if (count % 32 != 0)
    none.back() = ~std::uint32_t{0} << (count % 32); // beyond the vocabulary
  CHECK(aby_generation_set_mask(generation.get(), none.data(), count) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(std::string(aby_last_error()) == "mask: none of the " + std::to_string(ids) + " ids is allowed");
  CHECK(finish(generation).tokens == std::vector<std::int32_t>{9, 9, 9});

  aby_generation *raw = nullptr;
  const std::int32_t prompt = 5;
  options.mask = none.data();
  options.mask_count = count;
  CHECK(aby_generation_create(&raw, s.get(), &prompt, 1, &options) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_generation_set_mask(nullptr, mask.data(), count) == ABY_ERROR_INVALID_ARGUMENT);
}

namespace {

aby_event step(const Generation &generation) {
  auto event = make<aby_event>(aby_event_init);
  ABY_REQUIRE(aby_generation_step(&event, generation.get()));
  return event;
}

// All that a step tells, as text.
std::string told(const aby_event &event) {
  std::string line(event.text, event.text_length);
  for (const std::uint64_t number :
       {static_cast<std::uint64_t>(event.kind), static_cast<std::uint64_t>(event.token),
        static_cast<std::uint64_t>(event.text_kind), static_cast<std::uint64_t>(event.finish_reason), event.prompt_done,
        event.prompt_total, event.completion_tokens, event.reasoning_tokens})
    line += ' ' + std::to_string(number);
  return line;
}

constexpr std::uint32_t kUnlimited = UINT32_MAX;

} // namespace

TEST_CASE("writing ahead changes no step") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  const auto ids = static_cast<std::size_t>(vocab_size(model));
  const std::vector<std::uint32_t> mask = mask_of(vocab_size(model), {30, 40, 41, 50, 60, 61, 70});
  // What happens before each step of a reply.
  const std::vector<std::function<void(int, const Generation &)>> interventions{
      [](int, const Generation &) {},
      [&](int at, const Generation &running) {
        if (at == 4)
          ABY_REQUIRE(aby_generation_set_mask(running.get(), mask.data(), ids));
        if (at == 9)
          ABY_REQUIRE(aby_generation_set_mask(running.get(), nullptr, 0));
      },
      [](int at, const Generation &running) {
        if (at == 6)
          ABY_REQUIRE(aby_generation_cancel(running.get()));
      },
  };
  const auto free = reply(model, limited(12)).tokens;
  for (const float temperature : {0.0f, 1.5f}) {
    for (const bool stops : {false, true}) {
      for (const auto &intervene : interventions) {
        std::vector<std::string> steps[2];
        std::size_t ahead = 0, lengths[2];
        for (const int side : {0, 1}) {
          aby_generation_options options = limited(16);
          options.temperature = temperature;
          options.seed = 7;
          options.write_ahead = side == 1 ? kUnlimited : 0;
          if (stops) {
            options.stop_tokens = &free.back();
            options.stop_token_count = 1;
          }
          const Sequence s = sequence(model);
          Generation generation = start(s, {5, 6, 7}, options);
          for (int at = 0; at < 20; ++at) {
            intervene(at, generation);
            steps[side].push_back(told(step(generation)));
            if (at == 3)
              ahead = length(s);
          }
          generation.reset();
          lengths[side] = length(s);
        }
        CHECK(steps[0] == steps[1]);
        CHECK(lengths[0] == lengths[1]);
        CHECK(ahead > 5); // it was: the prompt, and the first two of three tokens
      }
    }
  }
}

TEST_CASE("a reply that is left takes back what was written ahead") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  aby_generation_options options = limited(16);
  options.temperature = 0;
  const std::vector<std::int32_t> whole = reply(model, options).tokens;
  options.write_ahead = kUnlimited;
  const Sequence s = sequence(model);
  Generation generation = start(s, {5, 6, 7}, options);
  std::vector<std::int32_t> tokens;
  for (int at = 0; at < 5; ++at) // the prompt and four tokens, the last of which is not evaluated
    tokens.push_back(step(generation).token);
  CHECK(length(s) == 18);
  generation.reset();
  REQUIRE(length(s) == 6);
  // And goes on from there as if nothing had been.
  options.max_tokens = 12;
  const Reply rest = finish(start(s, {tokens.back()}, options));
  CHECK(rest.tokens == std::vector<std::int32_t>(whole.begin() + 4, whole.end()));
}

TEST_CASE("a step that fails ahead fails when it is asked for, and may be tried again") {
  std::vector<std::string> steps[2];
  for (const int side : {0, 1}) {
    aby_model_options small = model_options();
    small.backend = "cpu";
    small.cache_tokens = 64;
    const Model model = open(checkpoint("tiny-v2-lite"), small);
    Sequence other = sequence(model);
    eval(other, std::vector<std::int32_t>(32, 9), eval_options());
    aby_generation_options options = limited(50);
    options.temperature = 1.5f;
    options.write_ahead = side == 1 ? kUnlimited : 0;
    const Sequence s = sequence(model);
    const Generation generation = start(s, {5, 6, 7}, options);
    auto event = make<aby_event>(aby_event_init);
    for (int at = 0; at < 60; ++at) {
      if (at == 45) // some failures later
        other.reset();
      const aby_status status = aby_generation_step(&event, generation.get());
      steps[side].push_back(status == ABY_OK ? told(event) : aby_status_name(status));
    }
  }
  CHECK(steps[0] == steps[1]);
  const std::string failed = steps[0][44];
  CHECK(failed.find("ABY_ERROR") == 0);
  CHECK(steps[0].back().find("ABY_ERROR") != 0);
}

TEST_CASE("weights that are replaced end a reply at the next step, whatever is ahead") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  aby_generation_options options = limited(16);
  options.write_ahead = kUnlimited;
  const Sequence s = sequence(model);
  Generation generation = start(s, {5, 6, 7}, options);
  for (int at = 0; at < 5; ++at)
    step(generation);
  ABY_REQUIRE(aby_model_update(model.get(), nullptr, 0));
  auto event = make<aby_event>(aby_event_init);
  CHECK(aby_generation_step(&event, generation.get()) == ABY_ERROR_STATE);
  CHECK(std::string(aby_last_error()) == "the model's weights were replaced during the reply");
}
