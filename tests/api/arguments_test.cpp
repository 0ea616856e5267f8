// Bad arguments give a status and a text, change nothing, and leave every object usable.
#include "support/api.h"

#include <algorithm>
#include <cstring>

namespace {

using namespace test;

bool says(const char *part) { return std::strstr(aby_last_error(), part) != nullptr; }

#define CHECK_FAILS(call, status, part)                                                                                \
  do {                                                                                                                 \
    CHECK((call) == (status));                                                                                         \
    INFO(std::string(aby_last_error()));                                                                               \
    CHECK(says(part));                                                                                                 \
  } while (false)

} // namespace

TEST_CASE("version and status names") {
  CHECK(aby_version() == ABY_VERSION_MAJOR * 10000 + ABY_VERSION_MINOR * 100 + ABY_VERSION_PATCH);
  CHECK(std::string(aby_version_string()) == "0.1.0");
  CHECK(std::string(aby_status_name(ABY_ERROR_CONTEXT_FULL)) == "ABY_ERROR_CONTEXT_FULL");
  CHECK(std::string(aby_status_name(-12345)) == "ABY_ERROR_UNKNOWN");
}

TEST_CASE("struct sizes: only those that a release had are known; reserved fields are 0") {
  aby_model_options options;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{4}, sizeof options - 8, sizeof options - 1, sizeof options + 8}) {
    CAPTURE(size);
    CHECK_FAILS(aby_model_options_init(&options, size), ABY_ERROR_STRUCT_SIZE, "aby_model_options: struct_size is");
  }
  CHECK_FAILS(aby_model_options_init(nullptr, sizeof options), ABY_ERROR_INVALID_ARGUMENT, "out is NULL");

  aby_model *model = nullptr;
  const std::string path = checkpoint("tiny-v3");
  for (const std::size_t size : {std::size_t{0}, sizeof options - 8, sizeof options + 1}) {
    options = model_options();
    options.struct_size = static_cast<std::uint32_t>(size);
    CHECK_FAILS(aby_model_open(&model, path.c_str(), &options), ABY_ERROR_STRUCT_SIZE, "struct_size");
  }
  options = model_options();
  options.reserved = 7;
  CHECK_FAILS(aby_model_open(&model, path.c_str(), &options), ABY_ERROR_INVALID_ARGUMENT, "reserved is 7");
  CHECK(model == nullptr);

  auto device_options = make<aby_device_options>(aby_device_options_init);
  device_options.reserved = 1;
  aby_device *device = nullptr;
  CHECK_FAILS(aby_device_open(&device, &device_options), ABY_ERROR_INVALID_ARGUMENT, "reserved is 1");
  auto tensor = make<aby_tensor>(aby_tensor_init);
  const aby_tensor *tensors = &tensor;
  tensor.reserved = 1;
  CHECK_FAILS(aby_model_open_tensors(&model, "{}", &tensors, 1, nullptr), ABY_ERROR_INVALID_ARGUMENT,
              "tensor 0: reserved is 1");
  tensor.struct_size -= 8;
  CHECK_FAILS(aby_model_open_tensors(&model, "{}", &tensors, 1, nullptr), ABY_ERROR_STRUCT_SIZE,
              "tensor 0: struct_size");
  // Structs that only come out need no init: whatever is in them, the size says how much is written.
  aby_device_info info;
  std::memset(&info, 0xAB, sizeof info);
  ABY_REQUIRE(aby_device_open(&device, nullptr));
  CHECK_FAILS(aby_device_info_get(&info, sizeof info - 8, device), ABY_ERROR_STRUCT_SIZE, "aby_device_info");
  CHECK_FAILS(aby_device_info_get(nullptr, sizeof info, device), ABY_ERROR_INVALID_ARGUMENT, "out is NULL");
  CHECK(info.threads == 0xABABABABU);
  ABY_REQUIRE(aby_device_info_get(&info, sizeof info, device));
  CHECK(info.struct_size == sizeof info);
  CHECK(info.threads >= 1);
  aby_device_destroy(device);
}

TEST_CASE("an array that is too small is an error that says the size, and nothing is written") {
  const Model model = open(checkpoint("tiny-v3"), "cpu");
  std::int32_t ids[3] = {-5, -5, -5};
  std::size_t count = 77;
  ABY_REQUIRE(aby_model_tokenize(nullptr, 0, &count, model.get(), "one two three", 13, 0));
  REQUIRE(count > 3);
  const std::size_t all = count;
  count = 0;
  CHECK_FAILS(aby_model_tokenize(ids, 3, &count, model.get(), "one two three", 13, 0), ABY_ERROR_TOO_SMALL,
              "room for 3");
  CHECK(count == all);
  CHECK(ids[0] == -5);
  std::vector<std::int32_t> exact(all);
  ABY_REQUIRE(aby_model_tokenize(exact.data(), all, &count, model.get(), "one two three", 13, 0));
  char text[3] = {'x', 'x', 'x'};
  CHECK(aby_model_detokenize(text, 3, &count, model.get(), exact.data(), exact.size(), 0) == ABY_ERROR_TOO_SMALL);
  CHECK(count == 13);
  CHECK(text[0] == 'x');
  const Sequence s = sequence(model);
  eval(s, {1, 2, 3}, eval_options());
  CHECK(aby_sequence_tokens(ids, 2, &count, s.get()) == ABY_ERROR_TOO_SMALL);
  CHECK(count == 3);
  CHECK(std::string(aby_status_name(ABY_ERROR_TOO_SMALL)) == "ABY_ERROR_TOO_SMALL");
}

TEST_CASE("an error's text is cut between characters") {
  for (std::size_t pad = 0; pad < 3; ++pad) {
    std::string path(pad, 'x');
    while (path.size() < 4000)
      path += "\xe2\x82\xac"; // the euro sign
    aby_model *model = nullptr;
    CHECK(aby_model_open(&model, path.c_str(), nullptr) != ABY_OK);
    const std::string text = aby_last_error();
    REQUIRE(text.size() > 2000);
    CHECK(text.size() < 2048);
    std::size_t last = text.size();
    while ((static_cast<unsigned char>(text[--last]) & 0xC0) == 0x80) {
    }
    CHECK(text.size() - last == (static_cast<unsigned char>(text[last]) < 0x80 ? 1 : 3));
  }
}

TEST_CASE("NULL is refused everywhere, and destroying NULL does nothing") {
  aby_model_destroy(nullptr);
  aby_sequence_destroy(nullptr);
  aby_generation_destroy(nullptr);
  aby_device_destroy(nullptr);
  aby_model *model = nullptr;
  aby_sequence *sequence = nullptr;
  aby_generation *generation = nullptr;
  std::size_t count = 0;
  CHECK(aby_model_open(nullptr, "x", nullptr) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_model_open(&model, nullptr, nullptr) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_model_plan_get(nullptr, 0, "x", nullptr) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_model_open_tensors(&model, nullptr, nullptr, 0, nullptr) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_model_open_tensors(&model, "{}", nullptr, 3, nullptr) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_model_update(nullptr, nullptr, 0) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_model_tokenize(nullptr, 0, &count, nullptr, "x", 1, 0) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_sequence_create(&sequence, nullptr) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_sequence_eval(nullptr, nullptr, 0, nullptr) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_sequence_eval_batch(nullptr, nullptr, nullptr, 1, nullptr) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_sequence_fork(&sequence, nullptr) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_generation_create(&generation, nullptr, nullptr, 0, nullptr) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_generation_step(nullptr, 0, nullptr, 0) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_backend_count(nullptr) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(model == nullptr);
  CHECK(sequence == nullptr);
}

TEST_CASE("backends and devices") {
  std::size_t count = 0;
  ABY_REQUIRE(aby_backend_count(&count));
  REQUIRE(count >= 2);
  aby_backend_info info;
  ABY_REQUIRE(aby_backend_info_get(&info, sizeof info, count - 1));
  CHECK(std::string(info.name) == "reference");
  CHECK(aby_backend_info_get(&info, sizeof info, count) == ABY_ERROR_NOT_FOUND);

  aby_device *device = nullptr;
  auto options = make<aby_device_options>(aby_device_options_init);
  options.backend = "tpu";
  CHECK_FAILS(aby_device_open(&device, &options), ABY_ERROR_NOT_FOUND, "reference");
  options.backend = "/nowhere/libabyssal_x.so";
  CHECK_FAILS(aby_device_open(&device, &options), ABY_ERROR_NOT_FOUND, "/nowhere/libabyssal_x.so");
  options.backend = "reference";
  options.index = 7;
  CHECK_FAILS(aby_device_open(&device, &options), ABY_ERROR_NOT_FOUND, "device 7");
  options.backend = ABYSSAL_DEFERRED_MODULE;
  options.index = 0;
  ABY_REQUIRE(aby_device_open(&device, &options));
  aby_device_destroy(device);
}

TEST_CASE("tokens, context and cache") {
  aby_model_options options = model_options();
  options.cache_tokens = 128;
  const Model model = open(checkpoint("tiny-v3"), options);
  const Sequence s = sequence(model);
  eval(s, {1, 2, 3}, eval_options());

  const std::vector<std::int32_t> outside = {5, 1280};
  CHECK_FAILS(aby_sequence_eval(s.get(), outside.data(), 2, nullptr), ABY_ERROR_INVALID_ARGUMENT, "1280");
  const std::int32_t negative = -1;
  CHECK(aby_sequence_eval(s.get(), &negative, 1, nullptr) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_sequence_eval(s.get(), outside.data(), 0, nullptr) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(length(s) == 3);

  const std::vector<std::int32_t> over_cache(200, 7), over_context(3000, 7);
  CHECK_FAILS(aby_sequence_eval(s.get(), over_cache.data(), over_cache.size(), nullptr), ABY_ERROR_CONTEXT_FULL,
              "the whole cache has 2"); // never fits
  CHECK_FAILS(aby_sequence_eval(s.get(), over_context.data(), over_context.size(), nullptr), ABY_ERROR_CONTEXT_FULL,
              "context");
  CHECK(length(s) == 3);
  eval(s, std::vector<std::int32_t>(125, 7), eval_options()); // exactly full
  CHECK(length(s) == 128);
  const Sequence second = sequence(model);
  CHECK_FAILS(aby_sequence_eval(second.get(), over_cache.data(), 1, nullptr), ABY_ERROR_CACHE_FULL,
              "the cache is full");
  ABY_REQUIRE(aby_sequence_truncate(s.get(), 64));
  eval(second, {1}, eval_options());
  CHECK(aby_sequence_truncate(s.get(), 65) == ABY_ERROR_INVALID_ARGUMENT);
}

TEST_CASE("left open, the cache grows with the sequences, as far as a share of the memory") {
  aby_device *raw = nullptr;
  ABY_REQUIRE(aby_device_open(&raw, nullptr));
  const Device device(raw);
  aby_device_info on;
  ABY_REQUIRE(aby_device_info_get(&on, sizeof on, raw));
  aby_model_options options = model_options();
  options.device = raw;
  const Model model = open(checkpoint("tiny-v3"), options);
  aby_model_info info;
  ABY_REQUIRE(aby_model_info_get(&info, sizeof info, model.get()));
  const std::uint64_t share = on.memory_bytes / 4 / info.cache_bytes_per_token;
  CHECK(info.cache_tokens >= std::min<std::uint64_t>(info.context_length, 32768));
  if (share >= info.context_length && share < UINT64_C(2147483520)) // not a small machine, nor a huge one
    CHECK(info.cache_tokens == share / 64 * 64);
  // More sequences than one context holds, at the same time.
  std::vector<Sequence> sequences;
  for (int i = 0; i < 4; ++i) {
    sequences.push_back(sequence(model));
    eval(sequences.back(), std::vector<std::int32_t>(info.context_length, 5), eval_options());
  }
  CHECK(length(sequences.front()) == info.context_length);
}

TEST_CASE("outputs that were not kept, and layers that do not exist") {
  const Model model = open(checkpoint("tiny-v3"), "cpu");
  const Sequence s = sequence(model);
  aby_array array;
  CHECK(aby_sequence_output(&array, sizeof array, s.get(), ABY_OUTPUT_LOGITS, 0) == ABY_ERROR_STATE);
  eval(s, {1, 2, 3}, eval_options());
  CHECK(output(s, ABY_OUTPUT_LOGITS).shape[0] == 1);
  CHECK(aby_sequence_output(&array, sizeof array, s.get(), ABY_OUTPUT_HIDDEN, -1) == ABY_ERROR_STATE);
  CHECK(aby_sequence_output(&array, sizeof array, s.get(), ABY_OUTPUT_HIDDEN, 99) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_sequence_output(&array, sizeof array, s.get(), ABY_OUTPUT_ROUTE_INDEX, 1) == ABY_ERROR_STATE);
  CHECK(aby_sequence_output(&array, sizeof array, s.get(), ABY_OUTPUT_ROUTE_INDEX, 0) ==
        ABY_ERROR_INVALID_ARGUMENT); // dense
  CHECK(aby_sequence_output(&array, sizeof array, s.get(), ABY_OUTPUT_CACHE_K, 0) == ABY_ERROR_STATE);
  CHECK(aby_sequence_output(&array, sizeof array, s.get(), ABY_OUTPUT_CACHE_C_KV, 4) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_sequence_output(&array, sizeof array, s.get(), 999, 0) == ABY_ERROR_INVALID_ARGUMENT);
  aby_eval_options options = eval_options();
  options.mtp = 1;
  const std::int32_t token = 4;
  CHECK_FAILS(aby_sequence_eval(s.get(), &token, 1, &options), ABY_ERROR_STATE, "MTP");
  CHECK(length(s) == 3);
  options = eval_options();
  options.logits = 0;
  eval(s, {4}, options);
  CHECK(aby_sequence_output(&array, sizeof array, s.get(), ABY_OUTPUT_LOGITS, 0) == ABY_ERROR_STATE);
}

TEST_CASE("batches of strangers and doubles are refused") {
  const Model one = open(checkpoint("tiny-v3"), "cpu"), two = open(checkpoint("tiny-v3"), "cpu");
  const Sequence a = sequence(one), b = sequence(two);
  const std::int32_t token = 1;
  const std::int32_t *tokens[] = {&token, &token};
  const std::size_t counts[] = {1, 1};
  aby_sequence *strangers[] = {a.get(), b.get()}, *doubles[] = {a.get(), a.get()};
  CHECK_FAILS(aby_sequence_eval_batch(strangers, tokens, counts, 2, nullptr), ABY_ERROR_INVALID_ARGUMENT, "models");
  CHECK_FAILS(aby_sequence_eval_batch(doubles, tokens, counts, 2, nullptr), ABY_ERROR_INVALID_ARGUMENT, "twice");
  CHECK(aby_sequence_eval_batch(doubles, tokens, counts, 0, nullptr) == ABY_ERROR_INVALID_ARGUMENT);
  eval(a, {1}, eval_options());
}

TEST_CASE("text") {
  const Model model = open(checkpoint("tiny-v3"), "cpu");
  std::size_t count = 0;
  CHECK_FAILS(aby_model_tokenize(nullptr, 0, &count, model.get(), "ab\xff", 3, 0), ABY_ERROR_ENCODING, "2");
  CHECK(aby_model_tokenize(nullptr, 0, &count, model.get(), "ab", 2, 99) == ABY_ERROR_INVALID_ARGUMENT);
  CHECK(aby_model_tokenize(nullptr, 5, &count, model.get(), "ab", 2, 0) == ABY_ERROR_INVALID_ARGUMENT);
  ABY_REQUIRE(aby_model_tokenize(nullptr, 0, &count, model.get(), "Hello, world", 12, 0));
  std::vector<std::int32_t> ids(count);
  ABY_REQUIRE(aby_model_tokenize(ids.data(), ids.size(), &count, model.get(), "Hello, world", 12, 0));
  std::string text(64, '\0');
  ABY_REQUIRE(aby_model_detokenize(text.data(), text.size(), &count, model.get(), ids.data(), ids.size(), 0));
  CHECK(text.substr(0, count) == "Hello, world");
  ids[0] = 1280;
  CHECK_FAILS(aby_model_detokenize(text.data(), 3, &count, model.get(), ids.data(), 1, 0), ABY_ERROR_INVALID_ARGUMENT,
              "1280");
  ABY_REQUIRE(aby_model_tokenize(nullptr, 0, &count, model.get(), nullptr, 0, 0));
  CHECK(count == 0);

  auto options = make<aby_chat_options>(aby_chat_options_init);
  const std::string messages = R"([{"role":"user","content":"Hi"}])";
  const auto render = [&](const std::string &json) {
    return aby_model_render_chat(nullptr, 0, &count, model.get(), json.data(), json.size(), &options);
  };
  ABY_REQUIRE(render(messages));
  CHECK(render("[{]") == ABY_ERROR_TEMPLATE);
  options.chat_template = "{{ messages[0].content }}{% if %}";
  CHECK(render(messages) == ABY_ERROR_TEMPLATE);
  options.chat_template = "{{ raise_exception('no such role') }}";
  CHECK_FAILS(render(messages), ABY_ERROR_TEMPLATE, "no such role");
}

TEST_CASE("types and forms that there are not") {
  aby_model *model = nullptr;
  const auto opened = [&](auto &&change) {
    aby_model_options options = model_options();
    change(options);
    return aby_model_open(&model, checkpoint("tiny-v3").c_str(), &options);
  };
  CHECK_FAILS(opened([](auto &o) { o.cache_dtype = ABY_DTYPE_F16; }), ABY_ERROR_UNSUPPORTED, "cache_dtype is f16");
  CHECK_FAILS(opened([](auto &o) { o.activations = ABY_DTYPE_F16; }), ABY_ERROR_UNSUPPORTED, "activations is f16");
  CHECK_FAILS(opened([](auto &o) { o.attention = 3; }), ABY_ERROR_INVALID_ARGUMENT, "attention is 3");
  CHECK_FAILS(opened([](auto &o) {
                o.attention = ABY_ATTENTION_ABSORBED;
                o.absorb_below = 5;
              }),
              ABY_ERROR_INVALID_ARGUMENT, "absorb_below is 5");
  CHECK(model == nullptr);
}

TEST_CASE("memory that cannot be had") {
  aby_model_options options = model_options();
  options.cache_tokens = std::uint64_t{1} << 40;
  aby_model *model = nullptr;
  CHECK_FAILS(aby_model_open(&model, checkpoint("tiny-v3").c_str(), &options), ABY_ERROR_INVALID_ARGUMENT,
              "cache_tokens");
  CHECK(model == nullptr);
}
