// abyssal.hpp: ownership, closing, exceptions, and that each method reaches its function.
#include <abyssal/abyssal.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>

namespace {

const std::string kModel = ABYSSAL_TEST_DATA "/conformance/tiny-v3";
const std::string kMessages = R"([{"role": "user", "content": "Hi"}])";

aby_model_options small_options() {
  aby_model_options options = abyssal::default_model_options();
  options.backend = "reference";
  options.threads = 1;
  options.cache_tokens = 512;
  return options;
}

abyssal::model open_model() { return abyssal::model(kModel, small_options()); }

// The status of the error that a call throws; ABY_OK if it throws none.
template <typename Call> aby_status thrown_status(Call &&call) {
  try {
    call();
  } catch (const abyssal::error &error) {
    CHECK(std::strlen(error.what()) > 0);
    CHECK(std::string(error.name()) == aby_status_name(error.status()));
    return error.status();
  }
  return ABY_OK;
}

std::vector<float> copy(const aby_array &array) {
  std::size_t count = 1;
  for (std::uint32_t i = 0; i < array.rank; ++i)
    count *= static_cast<std::size_t>(array.shape[i]);
  const auto *data = static_cast<const float *>(array.data);
  return {data, data + count};
}

} // namespace

TEST_CASE("errors carry status and text") {
  try {
    const abyssal::model model("/no/such/folder");
    FAIL("opened");
  } catch (const abyssal::error &error) {
    CHECK(error.status() == ABY_ERROR_NOT_FOUND);
    CHECK(std::string(error.what()).find("/no/such/folder") != std::string::npos);
  }
  aby_device_options options = abyssal::default_device_options();
  options.backend = "no-such-backend";
  CHECK(thrown_status([&] { abyssal::device device(options); }) == ABY_ERROR_NOT_FOUND);
}

TEST_CASE("backends and devices") {
  const auto backends = abyssal::backends();
  REQUIRE(!backends.empty());
  bool reference = false;
  for (const aby_backend_info &info : backends)
    reference = reference || std::strcmp(info.name, "reference") == 0;
  CHECK(reference);

  aby_device_options options = abyssal::default_device_options();
  options.backend = "reference";
  abyssal::device device(options);
  CHECK(std::string(device.info().backend) == "reference");
  device.close();
  CHECK(device.closed());
  CHECK(thrown_status([&] { device.info(); }) == ABY_ERROR_STATE);
  device.close();
}

TEST_CASE("a model tells what it is") {
  const auto model = open_model();
  CHECK(std::string(model.info().architecture) == "deepseek_v3");
  CHECK(!model.eos_tokens().empty());
  CHECK(std::string(model.device().info().backend) == "reference");
  const aby_model_plan plan = abyssal::model::plan(kModel, small_options());
  CHECK(plan.parameters == model.info().parameters);
  CHECK(plan.cache_tokens == 512);
}

TEST_CASE("text of any length, with NUL inside") {
  const auto model = open_model();
  std::string text;
  for (int i = 0; i < 500; ++i)
    text += "a longer text \xe4\xbd\xa0\xe5\xa5\xbd ";
  for (const std::string &sample : {std::string(), std::string("a"), std::string("a\0b", 3), text}) {
    const auto tokens = model.tokenize(sample);
    CHECK(model.detokenize(tokens) == sample);
  }
  CHECK(model.tokenize("x", ABY_TOKENIZE_ADD_BOS).size() == model.tokenize("x").size() + 1);
  CHECK(thrown_status([&] { model.tokenize("\xff"); }) == ABY_ERROR_ENCODING);
  CHECK(thrown_status([&] { model.detokenize({-1}); }) == ABY_ERROR_INVALID_ARGUMENT);
}

TEST_CASE("a template longer than the guess of its size") {
  const auto model = open_model();
  const std::string long_template(5000, 'x');
  aby_chat_options options = abyssal::default_chat_options();
  options.chat_template = long_template.c_str();
  CHECK(model.render_chat(kMessages, options) == long_template);
  options.chat_template = "{{ raise_exception('no') }}";
  CHECK(thrown_status([&] { model.render_chat(kMessages, options); }) == ABY_ERROR_TEMPLATE);
}

TEST_CASE("children keep their parents, whatever is closed first") {
  auto model = open_model();
  abyssal::sequence sequence(model);
  model.close();
  CHECK(model.closed());
  CHECK(thrown_status([&] { abyssal::sequence another(model); }) == ABY_ERROR_STATE);
  sequence.eval({1, 2, 3});
  abyssal::sequence fork = sequence.fork();
  sequence.close();
  CHECK(thrown_status([&] { sequence.length(); }) == ABY_ERROR_STATE);
  CHECK(fork.length() == 3);
  abyssal::generation generation(fork, {4});
  fork.close();
  while (generation.step().kind[0] == ABY_EVENT_PROMPT) {
  }
  generation.close();
  CHECK(thrown_status([&] { generation.step(); }) == ABY_ERROR_STATE);
}

TEST_CASE("copies share one object") {
  auto model = open_model();
  abyssal::sequence first(model);
  abyssal::sequence second = first;
  first.eval({5, 6});
  CHECK(second.length() == 2);
  first.close();
  CHECK(!second.closed());
  second = abyssal::sequence(model);
  CHECK(second.length() == 0);
  abyssal::sequence &same = second;
  second = same;
  CHECK(second.length() == 0);
}

TEST_CASE("evaluation, outputs, truncation and batches") {
  const auto model = open_model();
  abyssal::sequence alone(model), left(model), right(model);
  aby_eval_options options = abyssal::default_eval_options();
  options.keep = ABY_KEEP_HIDDEN;
  alone.eval({10, 11, 12}, options);
  CHECK(alone.tokens() == std::vector<std::int32_t>{10, 11, 12});
  const aby_array hidden = alone.hidden();
  CHECK(hidden.rank == 2);
  CHECK(hidden.shape[0] == 3);
  CHECK(hidden.shape[1] == static_cast<std::int64_t>(model.info().hidden_size));

  abyssal::eval_batch({left, right}, {{10, 11, 12}, {7}});
  const std::vector<float> together = copy(left.logits()), single = copy(alone.logits());
  REQUIRE(together.size() == single.size());
  float difference = 0;
  for (std::size_t i = 0; i < single.size(); ++i)
    difference = std::max(difference, std::abs(together[i] - single[i]));
  CHECK(difference < 1e-5F); // hidden states are kept on the one side: another order of operations
  CHECK(right.length() == 1);
  CHECK(thrown_status([&] { abyssal::eval_batch({left, right}, {{1}}); }) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(thrown_status([&] { alone.eval({-1}); }) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(thrown_status([&] { alone.truncate(4); }) == ABY_ERROR_INVALID_ARGUMENT);
  alone.truncate(1);
  CHECK(alone.tokens() == std::vector<std::int32_t>{10});
  const std::int32_t cancel = 1;
  options.cancel = &cancel;
  CHECK(thrown_status([&] { alone.eval({11}, options); }) == ABY_ERROR_CANCELLED);
}

TEST_CASE("more tokens than the guess of their number") {
  const auto model = open_model();
  abyssal::sequence sequence(model);
  std::vector<std::int32_t> tokens(200);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = static_cast<std::int32_t>(i);
  sequence.eval(tokens);
  CHECK(sequence.tokens() == tokens);
}

TEST_CASE("a reply") {
  const auto model = open_model();
  abyssal::sequence sequence(model);
  aby_reply_options options = abyssal::default_reply_options();
  options.temperature = 0;
  options.max_tokens = 6;
  options.ignore_eos = 1;
  options.plain = 1;
  abyssal::generation generation(sequence, model.tokenize(model.render_chat(kMessages)), options);
  std::string text;
  std::vector<std::int32_t> tokens;
  aby_finish_reason reason = ABY_FINISH_NONE;
  while (reason == ABY_FINISH_NONE) {
    const aby_events events = generation.step(1000);
    for (std::size_t i = 0; i < events.count; ++i) {
      text += abyssal::text_of(events, i);
      if (events.kind[i] == ABY_EVENT_TOKEN)
        tokens.push_back(events.token[i]);
      reason = events.finish_reason[i];
    }
  }
  CHECK(reason == ABY_FINISH_LENGTH);
  CHECK(tokens.size() == 6);
  CHECK(!text.empty());

  abyssal::generation cancelled(sequence, {1}, options);
  cancelled.cancel();
  CHECK(cancelled.step().finish_reason[0] == ABY_FINISH_CANCELLED);
  options.seed = 5;
  CHECK(abyssal::generation(sequence, {1}, options).seed() == 5);
}

TEST_CASE("a constraint, shared by replies") {
  const auto model = open_model();
  abyssal::constraint digits(model, ABY_CONSTRAINT_REGEX, "[0-9]{3}");
  aby_reply_options options = abyssal::default_reply_options();
  const auto held = digits.get();
  options.constraint = held.get();
  options.plain = 1;
  for (int i = 0; i < 2; ++i) {
    abyssal::generation generation(abyssal::sequence(model), model.tokenize("7"), options);
    std::string text;
    for (aby_event_kind kind = ABY_EVENT_PROMPT; kind != ABY_EVENT_END;) {
      const aby_events events = generation.step();
      text += abyssal::text_of(events, 0);
      kind = events.kind[0];
    }
    CHECK(text.size() == 3);
    CHECK(text.find_first_not_of("0123456789") == std::string::npos);
  }
  digits.close();
  CHECK(digits.closed());
  CHECK_THROWS_WITH(digits.get(), "the constraint is closed");
  CHECK_THROWS_AS(abyssal::constraint(model, ABY_CONSTRAINT_REGEX, "("), abyssal::error);
}

TEST_CASE("close from another thread, while calls run") {
  auto model = open_model();
  for (int round = 0; round < 20; ++round) {
    abyssal::sequence sequence(model);
    std::thread closer([&] { sequence.close(); });
    try {
      sequence.eval({1, 2, 3, 4});
    } catch (const abyssal::error &error) {
      CHECK(error.status() == ABY_ERROR_STATE);
    }
    closer.join();
    CHECK(sequence.closed());
  }
}

TEST_CASE("ops on the caller's buffers") {
  aby_device_options device_options = abyssal::default_device_options();
  device_options.backend = "reference";
  abyssal::device device(device_options);

  const std::vector<float> logits = {0, 3, 1, 2};
  std::vector<std::int32_t> index(2, -1);
  std::vector<float> weight(2);
  aby_moe_route_args route = abyssal::default_moe_route_args();
  route.tokens = 1;
  route.experts = 4;
  route.top_k = 2;
  route.n_group = route.topk_group = 1;
  route.logits = logits.data();
  route.index = index.data();
  route.weight = weight.data();
  abyssal::moe_route(device, route);
  CHECK(index == std::vector<std::int32_t>{1, 3});

  const float one = 1;
  const void *const weights[] = {&one};
  aby_experts_desc desc = abyssal::default_experts_desc();
  desc.experts = desc.hidden = desc.inter = 1;
  desc.dtype = ABY_DTYPE_F32;
  desc.gate = desc.up = desc.down = weights;
  abyssal::experts experts(device, desc);
  device.close(); // the experts keep it
  const float x = 2, share = 0.5F;
  const std::int32_t expert = 0;
  float out = 0;
  aby_moe_experts_args args = abyssal::default_moe_experts_args();
  args.tokens = args.top_k = 1;
  args.x = &x;
  args.index = &expert;
  args.weight = &share;
  args.out = &out;
  experts.run(args);
  CHECK(out == doctest::Approx(0.5 * 2 * 2 / (1 + std::exp(-2.0)))); // weight * silu(x) * x
  experts.close();
  CHECK(thrown_status([&] { experts.run(args); }) == ABY_ERROR_STATE);
  CHECK(thrown_status([&] { abyssal::mla layer(device, abyssal::default_mla_desc()); }) == ABY_ERROR_STATE);
}
