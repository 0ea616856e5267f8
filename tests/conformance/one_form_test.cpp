// With one form of attention, the same tokens give the same bits however they are cut, shared, forked or cached before.
#include "conformance/choice.h"
#include "support/api.h"
#include "support/expected.h"

namespace {

using namespace test;

struct Results {
  std::vector<float> logits, hidden, c_kv;
  bool operator==(const Results &) const = default;
};

Results results(const Sequence &s, std::size_t last_rows) {
  const std::vector<float> all = floats(output(s, ABY_OUTPUT_HIDDEN, -1));
  const std::size_t cols = static_cast<std::size_t>(output(s, ABY_OUTPUT_HIDDEN, -1).shape[1]);
  REQUIRE(all.size() >= last_rows * cols);
  return {logits(s),
          {all.end() - static_cast<std::ptrdiff_t>(last_rows * cols), all.end()},
          floats(output(s, ABY_OUTPUT_CACHE_C_KV, 1))};
}

aby_eval_options with_hidden(std::uint32_t chunk = 0) {
  aby_eval_options options = eval_options();
  options.keep = ABY_KEEP_HIDDEN;
  options.logits = 5;
  options.chunk = chunk;
  return options;
}

Model open_absorbed(const std::string &path, const char *backend, aby_dtype activations, aby_dtype cache) {
  aby_model_options options = model_options();
  options.backend = backend;
  options.activations = activations;
  options.cache_dtype = cache;
  options.cache_tokens = 2048;
  options.attention = ABY_ATTENTION_ABSORBED;
  return open(path, options);
}

using Tokens = std::vector<std::int32_t>;

constexpr std::size_t kTail = 10; // tokens whose hidden states are compared
constexpr std::ptrdiff_t kPrefix = 100;

// The tokens in passes of `chunk`.
Results cut(const Model &model, const Tokens &tokens, std::uint32_t chunk) {
  const Sequence s = sequence(model);
  eval(s, tokens, with_hidden(chunk));
  return results(s, kTail);
}

// A prefix first, in the middle of a block; then its fork goes on, and after it, truncated, the trunk itself.
void check_prefix(const Model &model, const Tokens &tokens, const Results &want) {
  const Tokens head(tokens.begin(), tokens.begin() + kPrefix), tail(tokens.begin() + kPrefix, tokens.end());
  const Tokens other(tail.rbegin(), tail.rend());
  const Sequence trunk = sequence(model);
  eval(trunk, head, eval_options());
  const Sequence branch = fork(trunk);
  eval(trunk, other, eval_options());
  eval(branch, tail, with_hidden());
  CHECK(results(branch, kTail) == want);
  ABY_REQUIRE(aby_sequence_truncate(trunk.get(), static_cast<std::size_t>(kPrefix)));
  eval(trunk, tail, with_hidden(7));
  CHECK(results(trunk, kTail) == want);
}

// Beside a sequence of one token and one that has a prefix.
void check_batch(const Model &model, const Tokens &tokens, const Results &want) {
  const Sequence one = sequence(model), two = sequence(model), three = sequence(model);
  eval(three, {tokens.rbegin(), tokens.rend()}, eval_options());
  aby_sequence *const handles[] = {one.get(), two.get(), three.get()};
  const std::int32_t *const arrays[] = {tokens.data() + 3, tokens.data(), tokens.data()};
  const std::size_t counts[] = {1, tokens.size(), 40};
  const aby_eval_options options = with_hidden(90);
  ABY_REQUIRE(aby_sequence_eval_batch(handles, arrays, counts, 3, &options));
  CHECK(results(two, kTail) == want);
}

void check_all(const Model &model, const Tokens &tokens) {
  const Results want = cut(model, tokens, 0);
  for (const std::uint32_t chunk : {1u, 7u, 64u}) {
    CAPTURE(chunk);
    CHECK(cut(model, tokens, chunk) == want);
  }
  check_prefix(model, tokens, want);
  check_batch(model, tokens, want);
}

struct Fixture {
  const char *name;
  const char *file;
};
constexpr Fixture kFixtures[] = {{"tiny-v2-lite-Q4_1", "tiny-v2-lite-Q4_1.gguf"},
                                 {"tiny-v2-lite-IQ4_XS", "tiny-v2-lite-IQ4_XS.gguf"},
                                 {"tiny-v2-lite-Q2_K", "tiny-v2-lite-Q2_K.gguf"},
                                 {"tiny-v2-lite-legacy-Q8_0", "tiny-v2-lite-legacy-Q8_0.gguf"},
                                 {"tiny-v3-sharded-meta-Q8_0", "tiny-v3-sharded-meta-Q8_0-00001-of-00002.gguf"}};

// Of few tests each fixture takes one pair of settings, the first one two: all six pairs, over five fixtures.
bool is_chosen(const Fixture &fixture, aby_dtype activations, aby_dtype cache) {
  constexpr aby_dtype kCaches[] = {ABY_DTYPE_BF16, ABY_DTYPE_I8, ABY_DTYPE_F32};
  const std::ptrdiff_t place = &fixture - kFixtures;
  const auto is_pair = [&](std::ptrdiff_t i) {
    return activations == (i % 2 == 0 ? ABY_DTYPE_BF16 : ABY_DTYPE_AUTO) && cache == kCaches[i % 3];
  };
  return !few() || is_pair(place) || (place == 0 && is_pair(5));
}

} // namespace

TEST_CASE("quantised weights and one form of attention: chunks, prefixes and batches change no bit") {
  for (const Fixture &fixture : kFixtures) {
    const std::string folder = std::string(ABYSSAL_TEST_DATA) + "/conformance-gguf/";
    const Tokens tokens = Expected(folder + fixture.name + ".expected.safetensors").ints("p3.input_ids");
    for (const aby_dtype activations : {ABY_DTYPE_AUTO, ABY_DTYPE_BF16}) {
      for (const aby_dtype cache : {ABY_DTYPE_BF16, ABY_DTYPE_I8, ABY_DTYPE_F32}) {
        if (!is_chosen(fixture, activations, cache))
          continue;
        CAPTURE(fixture.name);
        CAPTURE(activations);
        CAPTURE(cache);
        check_all(open_absorbed(folder + fixture.file, "cpu", activations, cache), tokens);
      }
    }
  }
}

TEST_CASE("other weights on the reference backend: chunks, prefixes and batches change no bit") {
  for (const std::string name : {"tiny-v2-lite", "tiny-v3-fp8"}) {
    const Tokens tokens = Expected(checkpoint(name) + "/expected.safetensors").ints("p3.input_ids");
    for (const aby_dtype cache : {ABY_DTYPE_F32, ABY_DTYPE_I8}) {
      if (few() && (cache == ABY_DTYPE_I8) != (name == "tiny-v3-fp8"))
        continue;
      CAPTURE(name);
      CAPTURE(cache);
      check_all(open_absorbed(checkpoint(name), "reference", ABY_DTYPE_F32, cache), tokens);
    }
  }
}

// oneDNN multiplies from nine rows on, in another order: the bits are the same among passes of up to eight.
TEST_CASE("other weights on the cpu backend: passes of few tokens change no bit, others round differently") {
  for (const std::string name : {"tiny-v2-lite", "tiny-v3", "tiny-v3-fp8"}) {
    const Tokens tokens = Expected(checkpoint(name) + "/expected.safetensors").ints("p3.input_ids");
    CAPTURE(name);
    const Model model = open_absorbed(checkpoint(name), "cpu", ABY_DTYPE_F32, ABY_DTYPE_F32);
    const Results want = cut(model, tokens, 1);
    for (const std::uint32_t chunk : {2u, 7u, 8u})
      CHECK(cut(model, tokens, chunk) == want);
    for (const std::uint32_t chunk : {64u, 0u}) {
      const Results got = cut(model, tokens, chunk);
      CHECK(relative_error(got.logits, want.logits) < 2e-5);
      CHECK(relative_error(got.hidden, want.hidden) < 2e-5);
    }
  }
}
