// The same tokens give the same results however they are cut, shared, forked or evaluated again.
#include "conformance/choice.h"
#include "support/api.h"
#include "support/expected.h"

#include <algorithm>

namespace {

using namespace test;

constexpr double kLimit = 2e-5;

// The deferred module computes with the reference backend's loops: of few tests those have one run, on one model of
// each kind of attention.
std::vector<std::string> chunked_backends() {
  return few() ? std::vector<std::string>{"cpu", ABYSSAL_DEFERRED_MODULE} : backends();
}
std::vector<std::string> models(const std::string &backend) {
  if (few() && backend != "cpu")
    return {"tiny-v3", "tiny-r1-distill-qwen"};
  return {"tiny-v2-lite", "tiny-v3", "tiny-v3-fp8", "tiny-r1-distill-qwen"};
}

std::vector<std::int32_t> prompt(const std::string &model, const std::string &name) {
  return Expected(checkpoint(model) + "/expected.safetensors").ints(name + ".input_ids");
}

struct Results {
  std::vector<float> logits, hidden;
};

Results results(const Sequence &s) { return {logits(s), floats(output(s, ABY_OUTPUT_HIDDEN, -1))}; }

void check_same(const Results &got, const Results &want) {
  CHECK(relative_error(got.logits, want.logits) < kLimit);
  CHECK(relative_error(got.hidden, want.hidden) < kLimit);
}

aby_eval_options with_hidden(std::uint32_t chunk = 0) {
  aby_eval_options options = eval_options();
  options.keep = ABY_KEEP_HIDDEN;
  options.logits = 5;
  options.chunk = chunk;
  return options;
}

} // namespace

TEST_CASE("one pass, chunks of 1, 7 and 64, and separate calls agree") {
  for (const std::string &backend : chunked_backends()) {
    for (const std::string &name : models(backend)) {
      CAPTURE(backend);
      CAPTURE(name);
      const Model model = open_f32(checkpoint(name), backend);
      const auto tokens = prompt(name, "p3");
      const Sequence whole = sequence(model);
      eval(whole, tokens, with_hidden());
      const Results want = results(whole);
      for (const std::uint32_t chunk : {1u, 7u, 64u}) {
        CAPTURE(chunk);
        const Sequence cut = sequence(model);
        eval(cut, tokens, with_hidden(chunk));
        check_same(results(cut), want);
      }
      const Sequence single = sequence(model);
      for (const std::int32_t token : tokens)
        eval(single, {token}, eval_options());
      const auto last = logits(single);
      CHECK(relative_error(last, {want.logits.end() - static_cast<std::ptrdiff_t>(last.size()), want.logits.end()}) <
            kLimit);
    }
  }
}

TEST_CASE("sequences of a ragged batch equal each alone") {
  for (const std::string &backend : chunked_backends()) {
    for (const std::string &name : models(backend)) {
      for (const std::uint32_t chunk : {0u, 50u}) {
        CAPTURE(backend);
        CAPTURE(name);
        CAPTURE(chunk);
        const Model model = open_f32(checkpoint(name), backend);
        const std::vector<std::vector<std::int32_t>> prompts = {prompt(name, "p2"), prompt(name, "p0"),
                                                                prompt(name, "p3")};
        std::vector<Sequence> together;
        std::vector<aby_sequence *> handles;
        std::vector<const std::int32_t *> tokens;
        std::vector<std::size_t> counts;
        for (const auto &p : prompts) {
          together.push_back(sequence(model));
          // The last one brings its second part to the batch: its context differs from the others'.
          const std::size_t before = &p == &prompts.back() ? 100 : 0;
          if (before > 0)
            eval(together.back(), {p.begin(), p.begin() + 100}, eval_options());
          handles.push_back(together.back().get());
          tokens.push_back(p.data() + before);
          counts.push_back(p.size() - before);
        }
        const aby_eval_options options = with_hidden(chunk);
        ABY_REQUIRE(aby_sequence_eval_batch(handles.data(), tokens.data(), counts.data(), handles.size(), &options));
        for (std::size_t i = 0; i < prompts.size(); ++i) {
          const Sequence alone = sequence(model);
          const std::size_t before = prompts[i].size() - counts[i];
          if (before > 0)
            eval(alone, {prompts[i].begin(), prompts[i].begin() + 100}, eval_options());
          eval(alone, {tokens[i], tokens[i] + counts[i]}, with_hidden());
          check_same(results(together[i]), results(alone));
        }
      }
    }
  }
}

TEST_CASE("both forms of MLA attention agree") {
  for (const std::string &backend : backends()) {
    const auto tokens = prompt("tiny-v3", "p3");
    std::vector<Results> forms;
    for (const aby_attention_kind form : {ABY_ATTENTION_ABSORBED, ABY_ATTENTION_EXPANDED}) {
      aby_model_options options = model_options();
      options.backend = backend.c_str();
      options.attention = form;
      options.activations = ABY_DTYPE_F32;
      options.cache_tokens = 512;
      const Model model = open(checkpoint("tiny-v3"), options);
      const Sequence s = sequence(model);
      eval(s, tokens, with_hidden());
      forms.push_back(results(s));
    }
    CAPTURE(backend);
    check_same(forms[0], forms[1]);
    if (backend == "cpu") // the option has chosen; the reference's doubles hide it
      CHECK(forms[0].logits != forms[1].logits);
  }
}

TEST_CASE("truncate and fork go back to an earlier state, and forks do not disturb each other") {
  for (const std::string &backend : chunked_backends()) {
    for (const std::string &name : models(backend)) {
      CAPTURE(backend);
      CAPTURE(name);
      const Model model = open_f32(checkpoint(name), backend);
      const auto tokens = prompt(name, "p3");
      const std::vector<std::int32_t> head(tokens.begin(), tokens.begin() + 100),
          tail(tokens.begin() + 100, tokens.end());
      const std::vector<std::int32_t> other(tail.rbegin(), tail.rend());
      const Sequence trunk = sequence(model);
      eval(trunk, head, eval_options());
      const Sequence branch = fork(trunk);
      eval(branch, other, with_hidden());
      const Results of_branch = results(branch);
      eval(trunk, tail, with_hidden());
      const Results want = results(trunk);
      CHECK(length(branch) == tokens.size());

      ABY_REQUIRE(aby_sequence_truncate(branch.get(), 100));
      CHECK(length(branch) == 100);
      eval(branch, tail, with_hidden());
      check_same(results(branch), want);

      ABY_REQUIRE(aby_sequence_truncate(trunk.get(), 100));
      eval(trunk, other, with_hidden());
      check_same(results(trunk), of_branch);
    }
  }
}

TEST_CASE("the MTP layer gives the same in chunks, after truncating and after a fork") {
  for (const std::string &backend : backends()) {
    CAPTURE(backend);
    const Model model = open_f32(checkpoint("tiny-v3"), backend, true);
    const auto tokens = prompt("tiny-v3", "p2");
    aby_eval_options options = eval_options();
    options.mtp = 1;
    options.logits = 3;
    const Sequence whole = sequence(model);
    eval(whole, tokens, options);
    const auto want = floats(output(whole, ABY_OUTPUT_MTP_LOGITS));

    options.chunk = 7;
    const Sequence cut = sequence(model);
    eval(cut, tokens, options);
    CHECK(relative_error(floats(output(cut, ABY_OUTPUT_MTP_LOGITS)), want) < kLimit);

    const Sequence again = fork(cut);
    ABY_REQUIRE(aby_sequence_truncate(again.get(), 20));
    eval(again, {tokens.begin() + 20, tokens.end()}, options);
    CHECK(relative_error(floats(output(again, ABY_OUTPUT_MTP_LOGITS)), want) < kLimit);
    CHECK(relative_error(logits(again), logits(whole)) < kLimit);

    const Sequence plain = sequence(model);
    eval(plain, tokens, eval_options());
    CHECK(aby_sequence_eval(plain.get(), tokens.data(), 1, &options) == ABY_ERROR_STATE);
  }
}
