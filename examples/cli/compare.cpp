// compare: how far the predictions of one way of computing are from those of float32 arithmetic.
#include "commands.h"
#include "compare_tokens.h"
#include "distribution_gap.h"
#include "logits_rows.h"
#include "model_options.h"
#include "terminal.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <memory>

namespace cli {

namespace {

using Json = nlohmann::ordered_json;

// More logits than this are not kept in memory.
constexpr std::uint64_t kMostInMemory = std::uint64_t{512} << 20;

struct CompareOptions {
  ModelOptions model;
  CompareTokens tokens;
  std::string logits;
  std::uint32_t chunk = 512;
  bool exact_weights = false, json = false;
};

struct Comparison {
  GapSummary gap;
  std::string exact, tested; // what they are
  Sequences sequences;
};

std::string describe(const abyssal::model &model) {
  const aby_model_info info = model.info();
  std::string text = std::string("activations ") + dtype_name(info.activations) + ", with quantised weights " +
                     dtype_name(info.arithmetic) + ", cache " + dtype_name(info.cache_dtype);
  if (info.weight_layouts[0] != '\0')
    text += std::string(", kept ") + info.weight_layouts;
  return text + ", backend " + model.device().info().backend;
}

// The cache has room for one sequence, unless the user said something else.
aby_model_options tested_options(const CompareOptions &options) {
  aby_model_options made = options.model.options();
  if (made.cache_tokens == 0)
    made.cache_tokens = options.tokens.most();
  return made;
}

// Float32 everywhere, on the best backend. What is tested decides the weights, which are then the same in both.
aby_model_options exact_options(const CompareOptions &options) {
  const aby_model_options tested = tested_options(options);
  aby_model_options made = abyssal::default_model_options();
  made.activations = ABY_DTYPE_F32;
  made.cache_dtype = ABY_DTYPE_F32;
  made.weights = options.exact_weights ? ABY_WEIGHTS_STORED : tested.weights;
  made.threads = tested.threads;
  made.cache_tokens = tested.cache_tokens;
  made.tokenizer = tested.tokenizer;
  made.warning = tested.warning;
  return made;
}

// A row of logits [vocab] of the next position, and the token that follows, or -1.
using OnRow = std::function<void(const float *row, std::int32_t next)>;

void evaluate(const abyssal::model &model, const Sequences &sequences, const CompareOptions &options, const char *label,
              const OnRow &on_row) {
  std::size_t total = 0, done = 0;
  for (const auto &tokens : sequences)
    total += tokens.size();
  ProgressBar bar(label);
  for (const auto &tokens : sequences) {
    abyssal::sequence sequence(model);
    for (std::size_t begin = 0; begin < tokens.size();) {
      const std::size_t count = std::min<std::size_t>(options.chunk, tokens.size() - begin);
      aby_eval_options eval = abyssal::default_eval_options();
      eval.logits = count;
      eval.chunk = options.chunk;
      bar.show(done, total);
      sequence.eval(tokens.data() + begin, count, eval);
      const aby_array array = sequence.logits();
      const auto *const rows = static_cast<const float *>(array.data);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t next = begin + i + 1;
        on_row(rows + i * static_cast<std::size_t>(array.shape[1]), next < tokens.size() ? tokens[next] : -1);
      }
      begin += count;
      done += count;
    }
  }
}

Comparison run(const CompareOptions &options) {
  Comparison made;
  std::size_t vocab = 0, positions = 0;
  std::unique_ptr<KeptRows> kept;
  { // one model at a time: this one is closed before the other is opened
    const abyssal::model model = options.model.open(exact_options(options));
    made.exact = describe(model);
    made.sequences = options.tokens.sequences(model, options.model.path());
    vocab = model.info().vocab_size;
    for (const auto &tokens : made.sequences)
      positions += tokens.size();
    if (!options.logits.empty()) {
      RowFile file = open_logits_file(options.logits, positions, vocab);
      DistributionGap gap(vocab);
      std::size_t index = 0;
      evaluate(model, made.sequences, options, "float32",
               [&](const float *row, std::int32_t next) { gap.add(row, file.read(index++), next); });
      made.tested = options.logits;
      made.gap = gap.summary();
      return made;
    }
    kept = std::make_unique<KeptRows>(positions, vocab, kMostInMemory);
    evaluate(model, made.sequences, options, "float32", [&](const float *row, std::int32_t) { kept->append(row); });
  }
  const abyssal::model model = options.model.open(tested_options(options));
  made.tested = describe(model);
  DistributionGap gap(vocab);
  std::size_t index = 0;
  evaluate(model, made.sequences, options, "tested",
           [&](const float *row, std::int32_t next) { gap.add(kept->row(index++), row, next); });
  made.gap = gap.summary();
  return made;
}

std::string digits_text(double value, int digits) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*g", digits, value);
  return text.data();
}

void print_table(const Comparison &made) {
  const auto line = [](std::string name, const std::string &value) {
    name.resize(16, ' ');
    print(name + value + "\n");
  };
  const GapSummary &gap = made.gap;
  line("float32", made.exact);
  line("tested", made.tested);
  line("positions", std::to_string(gap.positions));
  line("mean KL", digits_text(gap.mean, 3) + " nats");
  line("99th percentile", digits_text(gap.p99, 3));
  line("largest", digits_text(gap.max, 3));
  line("same top-1", digits_text(100 * gap.same_top1, 4) + " %");
  if (gap.predicted > 0)
    line("perplexity",
         digits_text(gap.perplexity_exact, 6) + " in float32, " + digits_text(gap.perplexity_tested, 6) + " tested");
}

Json json_of(const Comparison &made) {
  const GapSummary &gap = made.gap;
  const auto perplexity = [&](double value) { return gap.predicted > 0 ? Json(value) : Json(nullptr); };
  return {{"float32", made.exact},
          {"tested", made.tested},
          {"positions", gap.positions},
          {"mean_kl", gap.mean},
          {"p99_kl", gap.p99},
          {"max_kl", gap.max},
          {"same_top1", gap.same_top1},
          {"perplexity_float32", perplexity(gap.perplexity_exact)},
          {"perplexity_tested", perplexity(gap.perplexity_tested)},
          {"ids", made.sequences}};
}

int compare(CompareOptions &options) {
  options.tokens.read();
  const Comparison made = run(options);
  if (options.json)
    print_json(json_of(made));
  else
    print_table(made);
  return kOk;
}

} // namespace

Command add_compare(CLI::App &app) {
  CLI::App *command = app.add_subcommand(
      "compare", "How far the model's predictions are from those of float32 arithmetic, over all positions of a text");
  const auto options = std::make_shared<CompareOptions>();
  options->model.add(*command);
  options->tokens.add(*command);
  CLI::Option *const logits = command->add_option(
      "--logits", options->logits,
      "compare these instead of a second pass: float32 [positions, vocabulary], bare or a .npy file");
  for (const char *tested :
       {"--backend", "--activations", "--cache", "--attention", "--absorb-below", "--packed-cache"})
    logits->excludes(command->get_option(tested));
  command->add_flag("--exact-weights", options->exact_weights,
                    "float32 arithmetic on the weights as stored, where --weights rounds those that are tested");
  command
      ->add_option("--chunk", options->chunk,
                   "tokens of one evaluation (default 512); 1 evaluates the text as decoding would")
      ->check(CLI::Range(1u, 1u << 20));
  command->add_flag("--json", options->json, "print one object, with the token ids");
  return [options] { return compare(*options); };
}

} // namespace cli
