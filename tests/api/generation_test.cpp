// Replies: sampling, ends, cancelling, reasoning.
#include "support/api.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>

namespace {

using namespace test;

struct Reply {
  std::vector<std::int32_t> tokens;
  std::string content, reasoning;
  Event end;
};

Generation start(const Sequence &s, const std::vector<std::int32_t> &prompt, const aby_reply_options &options) {
  aby_generation *raw = nullptr;
  ABY_REQUIRE(aby_generation_create(&raw, s.get(), prompt.data(), prompt.size(), &options));
  return Generation(raw);
}

Reply finish(const Generation &generation) {
  Reply reply;
  reply.end = Event{};
  do {
    ABY_REQUIRE(step(&reply.end, generation.get()));
    if (reply.end.kind == ABY_EVENT_TOKEN)
      reply.tokens.push_back(reply.end.token);
    (reply.end.text_kind == ABY_TEXT_REASONING ? reply.reasoning : reply.content).append(reply.end.text);
  } while (reply.end.kind != ABY_EVENT_END);
  return reply;
}

Event step(const Generation &generation) {
  Event event;
  ABY_REQUIRE(step(&event, generation.get()));
  return event;
}

// All that an event tells, as text.
std::string told(const Event &event) {
  std::string line = event.text + ' ' + std::to_string(event.logprob);
  for (const std::uint64_t number :
       {static_cast<std::uint64_t>(event.kind), static_cast<std::uint64_t>(event.token),
        static_cast<std::uint64_t>(event.text_kind), static_cast<std::uint64_t>(event.finish_reason),
        event.prompt_tokens, event.prompt_total, event.completion_tokens, event.reasoning_tokens})
    line += ' ' + std::to_string(number);
  return line;
}

std::vector<std::int32_t> tokens(const Sequence &s) {
  std::vector<std::int32_t> ids(4096);
  std::size_t count = 0;
  ABY_REQUIRE(aby_sequence_tokens(ids.data(), ids.size(), &count, s.get()));
  ids.resize(count);
  return ids;
}

aby_model_info info(const Model &model) {
  aby_model_info info;
  ABY_REQUIRE(aby_model_info_get(&info, sizeof info, model.get()));
  return info;
}

double largest_difference(const std::vector<float> &a, const std::vector<float> &b) {
  REQUIRE(a.size() == b.size());
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(a[i]) - b[i]));
  return most;
}

Reply reply(const Model &model, const aby_reply_options &options, const std::vector<std::int32_t> &prompt = {5, 6, 7}) {
  const Sequence s = sequence(model);
  return finish(start(s, prompt, options));
}

aby_reply_options limited(std::uint64_t max_tokens) {
  aby_reply_options options = reply_options();
  options.max_tokens = max_tokens;
  options.ignore_eos = 1;
  return options;
}

std::int64_t vocab_size(const Model &model) { return static_cast<std::int64_t>(info(model).vocab_size); }

std::vector<std::uint32_t> mask_of(std::int64_t ids, const std::vector<std::int32_t> &allowed) {
  std::vector<std::uint32_t> words(static_cast<std::size_t>((ids + 31) / 32));
  for (const std::int32_t id : allowed)
    words[static_cast<std::size_t>(id / 32)] |= std::uint32_t{1} << (id % 32);
  return words;
}

} // namespace

TEST_CASE("the same seed gives the same reply, another seed another") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  aby_reply_options options = limited(24);
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
  aby_reply_options options = limited(16);
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
  aby_reply_options options = limited(16);
  options.temperature = 0;
  const Reply whole = reply(model, options);
  CHECK(whole.end.finish_reason == ABY_FINISH_LENGTH);
  CHECK(whole.end.completion_tokens == 16);
  CHECK(whole.end.prompt_total == 3);
  CHECK(whole.end.prompt_tokens == 3);

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
  const Reply full = reply(tight, limited(ABY_NO_LIMIT));
  CHECK(full.end.finish_reason == ABY_FINISH_CONTEXT);
  CHECK(full.tokens.size() == 64 - 3 + 1); // the last token drawn need not be evaluated

  const Reply none = reply(model, limited(0));
  CHECK(none.end.finish_reason == ABY_FINISH_LENGTH);
  CHECK(none.end.prompt_tokens == 3);
  CHECK(none.tokens.empty());
}

TEST_CASE("a reply ends when the model's context is full") {
  aby_model_options options = model_options();
  options.activations = ABY_DTYPE_BF16;
  const Model model = open(checkpoint("tiny-v2-lite"), options);
  const std::uint32_t context = info(model).context_length;
  const Sequence s = sequence(model);
  const Reply full = finish(start(s, std::vector<std::int32_t>(context - 2, 7), limited(ABY_NO_LIMIT)));
  CHECK(full.end.finish_reason == ABY_FINISH_CONTEXT);
  CHECK(full.tokens.size() == 3);
  CHECK(length(s) == context);

  const std::vector<std::int32_t> too_long(context + 1, 7);
  aby_generation *raw = nullptr;
  const Sequence empty = sequence(model);
  CHECK(aby_generation_create(&raw, empty.get(), too_long.data(), too_long.size(), nullptr) == ABY_ERROR_CONTEXT_FULL);
  CHECK(std::string(aby_last_error()).find("exceeds the context") != std::string::npos);
  options.cache_tokens = 128;
  const Model tight = open(checkpoint("tiny-v2-lite"), options);
  const Sequence small = sequence(tight);
  CHECK(aby_generation_create(&raw, small.get(), too_long.data(), 129, nullptr) == ABY_ERROR_CONTEXT_FULL);
  CHECK(std::string(aby_last_error()).find("exceeds the whole cache") != std::string::npos);
  CHECK(raw == nullptr);
}

TEST_CASE("after its end a sequence has the prompt and every token that was given, whatever ended the reply") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  aby_reply_options options = limited(12);
  options.temperature = 0;
  const auto whole = reply(model, options).tokens;
  const std::vector<std::int32_t> prompt = {5, 6, 7};
  const auto with = [&](std::size_t count) {
    std::vector<std::int32_t> all = prompt;
    all.insert(all.end(), whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(count));
    return all;
  };
  // max_tokens; a stop token; cancelled; destroyed before its end.
  for (const int way : {0, 1, 2, 3}) {
    CAPTURE(way);
    options = limited(way == 0 ? 6 : 12);
    options.temperature = 0;
    const auto stop = std::find(whole.begin(), whole.end(), whole[6]) - whole.begin();
    options.stop_tokens = &whole[6];
    options.stop_token_count = way == 1 ? 1 : 0;
    const Sequence s = sequence(model);
    Generation generation = start(s, prompt, options);
    const std::size_t given = way == 1 ? static_cast<std::size_t>(stop) : 6;
    if (way >= 2) {
      for (int i = 0; i < 7; ++i)
        static_cast<void>(step(generation));
      if (way == 2)
        ABY_REQUIRE(aby_generation_cancel(generation.get()));
      else
        generation.reset();
    }
    if (generation)
      CHECK(finish(generation).end.kind == ABY_EVENT_END);
    CHECK(tokens(s) == with(given));
    // The token that is not evaluated yet is so with what comes next: the reply goes on as if it had not ended.
    const Sequence copy = fork(s);
    options = limited(whole.size() - given);
    options.temperature = 0;
    const std::vector<std::int32_t> rest(whole.begin() + static_cast<std::ptrdiff_t>(given), whole.end());
    if (way != 1) {
      CHECK(finish(start(s, {}, options)).tokens == rest);
      eval(copy, {whole[given]}, eval_options());
      options.max_tokens = rest.size() - 1;
      CHECK(finish(start(copy, {}, options)).tokens == std::vector<std::int32_t>(rest.begin() + 1, rest.end()));
    }
    ABY_REQUIRE(aby_sequence_truncate(s.get(), 2));
    CHECK(tokens(s) == std::vector<std::int32_t>{5, 6});
  }
}

TEST_CASE("results are of the tokens asked for, also after a reply left one to be evaluated") {
  const Model model = open(checkpoint("tiny-v3"), "cpu", true);
  aby_reply_options options = limited(1);
  options.temperature = 0;
  aby_eval_options kept = eval_options();
  kept.keep = ABY_KEEP_HIDDEN;
  kept.logits = 100;
  for (const std::uint32_t mtp : {0U, 1U}) {
    for (const std::uint32_t chunk : {0U, 1U, 2U}) {
      kept.mtp = mtp;
      kept.chunk = 0;
      const Sequence s = sequence(model), whole = sequence(model);
      eval(s, {5, 6, 7}, kept);
      const std::int32_t drawn = finish(start(s, {}, options)).tokens.at(0);
      CHECK(length(s) == 4);
      kept.chunk = chunk;
      eval(s, {8, 9}, kept);
      eval(whole, {5, 6, 7, drawn}, kept);
      eval(whole, {8, 9}, kept);
      CHECK(output(s, ABY_OUTPUT_LOGITS).shape[0] == 2);
      CHECK(largest_difference(logits(s), logits(whole)) < 1e-3);
      CHECK(largest_difference(floats(output(s, ABY_OUTPUT_HIDDEN, -1)), floats(output(whole, ABY_OUTPUT_HIDDEN, -1))) <
            1e-2);
      if (mtp != 0)
        CHECK(largest_difference(floats(output(s, ABY_OUTPUT_MTP_LOGITS)),
                                 floats(output(whole, ABY_OUTPUT_MTP_LOGITS))) < 1e-3);
    }
  }
}

TEST_CASE("while a reply is written its sequence is not changed by anybody else") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  const Sequence s = sequence(model), other = sequence(model);
  const std::int32_t token = 9;
  const auto changes = [&] {
    std::vector<aby_status> status;
    aby_generation *second = nullptr;
    status.push_back(aby_sequence_truncate(s.get(), 0));
    status.push_back(aby_sequence_eval(s.get(), &token, 1, nullptr));
    aby_sequence *const both[] = {other.get(), s.get()};
    const std::int32_t *const ids[] = {&token, &token};
    const std::size_t counts[] = {1, 1};
    status.push_back(aby_sequence_eval_batch(both, ids, counts, 2, nullptr));
    status.push_back(aby_generation_create(&second, s.get(), &token, 1, nullptr));
    aby_generation_destroy(second);
    return status;
  };
  const std::vector<aby_status> busy(4, ABY_ERROR_BUSY), fine(4, ABY_OK);
  aby_reply_options options = limited(4);
  Generation generation = start(s, {5, 6, 7}, options);
  CHECK(changes() == busy); // before its first step too
  static_cast<void>(step(generation));
  static_cast<void>(step(generation));
  CHECK(changes() == busy);
  CHECK(std::string(aby_last_error()).find("a reply is being written") == 0);
  CHECK(length(fork(s)) == length(s)); // a copy changes nothing
  CHECK(finish(generation).end.finish_reason == ABY_FINISH_LENGTH);
  CHECK(length(other) == 0);
  CHECK(changes() == fine);
  generation = start(s, {5}, options);
  CHECK(changes() == busy);
  generation.reset();
  CHECK(changes() == fine);
}

TEST_CASE("a seed is random unless it is given, and told") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  aby_reply_options options = limited(24);
  CHECK(options.seed == ABY_SEED_RANDOM);
  options.temperature = 1.5f;
  const auto drawn = [&](std::uint64_t &seed) {
    const Sequence s = sequence(model);
    const Generation generation = start(s, {5, 6, 7}, options);
    ABY_REQUIRE(aby_generation_seed(&seed, generation.get()));
    return finish(generation).tokens;
  };
  std::uint64_t first = 0, second = 0, again = 0;
  const auto one = drawn(first), other = drawn(second);
  CHECK(first != second);
  CHECK(one != other);
  CHECK(std::max(first, second) < std::uint64_t{1} << 53);
  options.seed = first;
  CHECK(drawn(again) == one);
  CHECK(again == first);
  CHECK(aby_generation_seed(nullptr, nullptr) == ABY_ERROR_INVALID_ARGUMENT);
}

TEST_CASE("log-probabilities are those of softmax(logits)") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  aby_reply_options options = limited(4);
  options.temperature = 1.5f;
  options.top_k = 50;
  options.logprobs = ABY_LOGPROBS_MODEL;
  const Sequence s = sequence(model);
  const Generation generation = start(s, {5, 6, 7}, options);
  CHECK(std::isnan(step(generation).logprob)); // the prompt
  for (int i = 0; i < 4; ++i) {
    const Event event = step(generation);
    const std::vector<float> row = logits(s);
    double sum = 0;
    for (const float logit : row)
      sum += std::exp(static_cast<double>(logit));
    CHECK(event.logprob == doctest::Approx(row[static_cast<std::size_t>(event.token)] - std::log(sum)).epsilon(1e-5));
  }
  CHECK(std::isnan(step(generation).logprob)); // no token ended it
  options.logprobs = ABY_LOGPROBS_NONE;
  const Sequence without = sequence(model);
  const Generation silent = start(without, {5, 6, 7}, options);
  static_cast<void>(step(silent));
  CHECK(std::isnan(step(silent).logprob));
  aby_generation *raw = nullptr;
  options.logprobs = 2;
  const std::int32_t prompt = 5;
  CHECK(aby_generation_create(&raw, sequence(model).get(), &prompt, 1, &options) == ABY_ERROR_INVALID_ARGUMENT);
}

TEST_CASE("options that are no numbers, and the checkpoint's own") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  const std::int32_t prompt = 5;
  const auto status = [&](void (*change)(aby_reply_options &)) {
    aby_reply_options options = limited(1);
    change(options);
    aby_generation *raw = nullptr;
    const aby_status made = aby_generation_create(&raw, sequence(model).get(), &prompt, 1, &options);
    aby_generation_destroy(raw);
    return made;
  };
  CHECK(status([](aby_reply_options &o) { o.temperature = NAN; }) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(status([](aby_reply_options &o) { o.top_p = NAN; }) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(status([](aby_reply_options &o) { o.top_p = 1.01f; }) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(status([](aby_reply_options &o) { o.min_p = INFINITY; }) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(status([](aby_reply_options &o) { o.reserved = 1; }) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(std::string(aby_last_error()) == "aby_reply_options: reserved is 1; expected 0");
  CHECK(status([](aby_reply_options &o) { o.temperature = o.top_p = o.min_p = -1, o.top_k = -1; }) == ABY_OK);
  CHECK(status([](aby_reply_options &o) { o.top_p = 0, o.min_p = 1, o.top_k = 0; }) == ABY_OK);
}

TEST_CASE("steps after the end repeat it, and a reply can go on from a sequence that has logits") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  aby_reply_options options = limited(8);
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
  aby_reply_options options = limited(100);
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
    aby_reply_options options = limited(12);
    options.temperature = temperature;
    const auto free = reply(model, options).tokens;
    const std::vector<std::uint32_t> first = mask_of(ids, {40, 41}), second = mask_of(ids, {77});
    options.mask = first.data();
    options.mask_count = count;
    const Sequence s = sequence(model);
    const Generation generation = start(s, {5, 6, 7}, options);
    std::vector<std::int32_t> tokens;
    Event event;
    for (int at = 0; at < 13; ++at) { // the first evaluates the prompt
      if (at == 5)
        ABY_REQUIRE(aby_generation_set_mask(generation.get(), second.data(), count));
      if (at == 7)
        ABY_REQUIRE(aby_generation_set_mask(generation.get(), nullptr, 0));
      ABY_REQUIRE(step(&event, generation.get()));
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
  aby_reply_options options = limited(8);
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
  aby_reply_options options = limited(3);
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

TEST_CASE("a step with time gives the events that steps of one event give") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  const auto free = reply(model, limited(12)).tokens;
  for (const float temperature : {0.0f, 1.5f}) {
    for (const bool stops : {false, true}) {
      std::vector<std::string> events[2];
      for (const int side : {0, 1}) {
        aby_reply_options options = limited(16);
        options.temperature = temperature;
        options.seed = 7;
        options.logprobs = ABY_LOGPROBS_MODEL;
        options.stop_tokens = &free.back();
        options.stop_token_count = stops ? 1 : 0;
        const Sequence s = sequence(model);
        const Generation generation = start(s, {5, 6, 7}, options);
        std::size_t calls = 0;
        for (aby_event_kind last = ABY_EVENT_PROMPT; last != ABY_EVENT_END; ++calls) {
          aby_events step;
          ABY_REQUIRE(aby_generation_step(&step, sizeof step, generation.get(), side == 1 ? UINT64_MAX : 0));
          REQUIRE(step.struct_size == sizeof step);
          REQUIRE(step.count >= 1);
          CHECK(step.text_begin[0] == 0);
          for (std::size_t i = 0; i < step.count; ++i)
            events[side].push_back(told(event_of(step, i)));
          last = step.kind[step.count - 1];
          // The sequence is where the events are: never ahead of them.
          CHECK(length(s) == step.prompt_tokens[step.count - 1] + step.completion_tokens[step.count - 1] -
                                 (last == ABY_EVENT_TOKEN || step.token[step.count - 1] >= 0 ? 1 : 0));
        }
        if (side == 1)
          CHECK(calls == 3); // the prompt; the first token, which says nothing of the others' time; the rest
        aby_events after;
        ABY_REQUIRE(aby_generation_step(&after, sizeof after, generation.get(), UINT64_MAX));
        CHECK(after.count == 1);
        CHECK(after.kind[0] == ABY_EVENT_END);
        CHECK(after.text_begin[1] == 0);
      }
      CHECK(events[0] == events[1]);
    }
  }
}

TEST_CASE("a full pool is an error of the step, which may be tried again") {
  std::vector<std::string> events[2];
  for (const int side : {0, 1}) {
    aby_model_options small = model_options();
    small.backend = "cpu";
    small.cache_tokens = 128;
    const Model model = open(checkpoint("tiny-v2-lite"), small);
    Sequence other = sequence(model);
    eval(other, std::vector<std::int32_t>(64, 9), eval_options());
    aby_reply_options options = limited(80);
    options.temperature = 1.5f;
    options.seed = 3;
    const Sequence s = sequence(model);
    const Generation generation = start(s, {5, 6, 7}, options);
    std::size_t failures = 0;
    for (aby_event_kind last = ABY_EVENT_PROMPT; last != ABY_EVENT_END;) {
      aby_events step;
      const aby_status status = aby_generation_step(&step, sizeof step, generation.get(), side == 1 ? 1000000000 : 0);
      if (status != ABY_OK) {
        CHECK(status == ABY_ERROR_CACHE_FULL);
        CHECK(std::string(aby_last_error()).find("the cache is full") == 0);
        CHECK(events[side].size() == 1 + 62); // the prompt, what fits, and a token that is not evaluated
        if (++failures == 3)
          other.reset();
        continue;
      }
      for (std::size_t i = 0; i < step.count; ++i)
        events[side].push_back(told(event_of(step, i)));
      last = step.kind[step.count - 1];
    }
    CHECK(failures == 3);
  }
  CHECK(events[0] == events[1]);
  CHECK(events[0].size() == 1 + 80 + 1);
}

TEST_CASE("weights that are replaced end a reply at the next step") {
  const Model model = open(checkpoint("tiny-v2-lite"), "cpu");
  const aby_reply_options options = limited(16);
  const Sequence s = sequence(model);
  Generation generation = start(s, {5, 6, 7}, options);
  for (int at = 0; at < 5; ++at)
    static_cast<void>(step(generation));
  ABY_REQUIRE(aby_model_update(model.get(), nullptr, 0));
  Event event;
  CHECK(step(&event, generation.get()) == ABY_ERROR_STATE);
  CHECK(std::string(aby_last_error()) == "the model's weights were replaced during the reply");
  generation.reset();
  CHECK(length(s) == 0);
  eval(s, {1}, eval_options());
}
