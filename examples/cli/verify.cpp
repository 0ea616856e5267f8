// verify: a checkpoint against reference values, one line a tensor.
#include "commands.h"
#include "model_options.h"
#include "reply.h"
#include "terminal.h"

#include "weights/safetensors.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <set>

namespace cli {

namespace {

using Json = nlohmann::ordered_json;

struct VerifyOptions {
  ModelOptions model;
  std::string expected;
  double hidden = 0, logits = 0; // 0: by the arithmetic
  std::uint32_t chunk = 0;
  bool json = false;
};

// What the arithmetic reaches: error limits, and the gap between two logits that it resolves.
struct Limits {
  double hidden, logits, route_weight;
  float gap;
};

Limits limits_for(const aby_model_info &info, const VerifyOptions &options) {
  const aby_weights_kind weights = options.model.weights();
  const bool exact =
      weights == ABY_WEIGHTS_STORED && info.activations == ABY_DTYPE_F32 && info.cache_dtype == ABY_DTYPE_F32;
  Limits limits = exact ? Limits{2e-5, 1e-4, 2e-5, 1e-3f} : Limits{1e-2, 1e-2, 2e-2, 0.3f};
  if (weights == ABY_WEIGHTS_INT8)
    limits = {2e-2, 2e-2, 2e-2, 0.3f};
  if (weights == ABY_WEIGHTS_INT4)
    limits = {1.5e-1, 1.5e-1, 1.5e-1, 1.0f};
  if (options.hidden > 0)
    limits.hidden = options.hidden;
  if (options.logits > 0)
    limits.logits = options.logits;
  return limits;
}

class Expected {
public:
  explicit Expected(const std::string &path)
      : source_(abyssal::open_safetensors_file(path)), names_(source_->names()) {}

  const std::vector<std::string> &names() const noexcept { return names_; }
  bool has(const std::string &name) const { return source_->find(name) != nullptr; }
  std::vector<float> floats(const std::string &name) const { return read<float>(name, ABY_DTYPE_F32, "float32"); }
  std::vector<std::int32_t> ints(const std::string &name) const {
    return read<std::int32_t>(name, ABY_DTYPE_I32, "int32");
  }
  std::int64_t rows(const std::string &name) const {
    const abyssal::TensorView *view = source_->find(name);
    return view != nullptr && !view->shape.empty() ? view->shape[0] : 0;
  }

private:
  template <typename Element>
  std::vector<Element> read(const std::string &name, aby_dtype dtype, const char *type) const {
    const abyssal::TensorView *view = source_->find(name);
    if (view == nullptr)
      throw std::runtime_error("tensor " + name + " is missing from the reference values");
    if (view->dtype != dtype)
      throw std::runtime_error("tensor " + name + " of the reference values is not " + type);
    std::vector<Element> values(view->bytes / sizeof(Element));
    std::memcpy(values.data(), view->data, view->bytes);
    return values;
  }
  std::shared_ptr<const abyssal::TensorSource> source_;
  std::vector<std::string> names_;
};

template <typename Element> std::vector<Element> values_of(const aby_array &array) {
  std::int64_t count = 1;
  for (std::uint32_t i = 0; i < array.rank; ++i)
    count *= array.shape[i];
  const auto *data = static_cast<const Element *>(array.data);
  return {data, data + count};
}

// The last `count` elements.
std::vector<float> tail(const std::vector<float> &values, std::size_t count) {
  return {values.end() - static_cast<std::ptrdiff_t>(std::min(count, values.size())), values.end()};
}

// |x - reference| / |reference|; infinite where the sizes differ.
double relative_error(const std::vector<float> &x, const std::vector<float> &reference) {
  if (x.size() != reference.size())
    return INFINITY;
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    difference += (double{x[i]} - reference[i]) * (double{x[i]} - reference[i]);
    norm += double{reference[i]} * reference[i];
  }
  return std::isnan(difference) ? INFINITY : std::sqrt(norm > 0 ? difference / norm : difference);
}

// The report: a line a tensor, or a list for --json.
class Report {
public:
  explicit Report(bool json) : json_(json) {}

  void error(const std::string &name, double value, double limit) {
    char text[96];
    std::snprintf(text, sizeof text, "error %.2e  limit %.1e", value, limit);
    add(name, text, value <= limit, {{"error", std::isfinite(value) ? Json(value) : Json(nullptr)}, {"limit", limit}});
  }
  void finding(const std::string &name, bool good, const std::string &text) {
    add(name, text, good, {{"finding", text}});
  }
  void skipped(const std::string &name) {
    ++skipped_;
    if (!json_)
      row(name, "skipped: not a reference value that is known");
  }
  int finish() const {
    if (json_)
      print_json({{"tensors", tensors_}, {"ok", ok_}, {"missed", missed_}, {"skipped", skipped_}});
    else
      print(std::to_string(ok_) + " tensors ok, " + std::to_string(missed_) + " missed" +
            (skipped_ > 0 ? ", " + std::to_string(skipped_) + " skipped" : "") + "\n");
    return missed_ == 0 ? kOk : kFailed;
  }

private:
  void add(const std::string &name, const std::string &text, bool good, const Json &details) {
    ++(good ? ok_ : missed_);
    if (!json_)
      return row(name, text + (good ? "  ok" : "  MISS"));
    Json entry = {{"name", name}, {"ok", good}};
    entry.update(details);
    tensors_.push_back(std::move(entry));
  }
  static void row(const std::string &name, const std::string &text) {
    std::string line = name;
    line.resize(std::max<std::size_t>(line.size() + 2, 26), ' ');
    print(line + text + "\n");
  }
  bool json_;
  int ok_ = 0, missed_ = 0, skipped_ = 0;
  Json tensors_ = Json::array();
};

class Verification {
public:
  Verification(const VerifyOptions &options, const Expected &expected, abyssal::model model, bool mtp)
      : options_(options), expected_(expected), model_(std::move(model)), info_(model_.info()),
        limits_(limits_for(info_, options)), mtp_(mtp), report_(options.json) {}

  int run() {
    std::set<std::string> prompts;
    for (const std::string &name : expected_.names()) {
      const auto dot = name.find(".input_ids");
      if (dot != std::string::npos && dot + 10 == name.size())
        prompts.insert(name.substr(0, dot));
    }
    if (prompts.empty())
      throw std::runtime_error(options_.expected +
                               ": has no tensor PROMPT.input_ids; it does not hold reference values");
    for (const std::string &prompt : prompts)
      check_prompt(prompt);
    for (const std::string &name : expected_.names()) {
      if (!seen_.contains(name))
        report_.skipped(name);
    }
    return report_.finish();
  }

private:
  bool take(const std::string &name) {
    if (!expected_.has(name))
      return false;
    seen_.insert(name);
    return true;
  }

  void check_prompt(const std::string &prompt) {
    take(prompt + ".input_ids");
    const auto tokens = expected_.ints(prompt + ".input_ids");
    const bool mtp = mtp_ && prompt == "p2";
    abyssal::sequence sequence(model_);
    aby_eval_options eval = abyssal::default_eval_options();
    eval.keep = ABY_KEEP_HIDDEN | ABY_KEEP_HIDDEN_LAYERS | (info_.experts > 0 ? ABY_KEEP_ROUTES : 0);
    eval.logits = mtp ? tokens.size()
                      : static_cast<std::uint64_t>(std::max<std::int64_t>(1, expected_.rows(prompt + ".logits_last")));
    eval.mtp = mtp ? 1 : 0;
    eval.chunk = options_.chunk;
    sequence.eval(tokens, eval);
    for (std::uint32_t layer = 0; layer <= info_.layers; ++layer)
      check_layer(sequence, prompt, static_cast<std::int32_t>(layer));
    if (take(prompt + ".logits_last")) {
      const auto want = expected_.floats(prompt + ".logits_last");
      report_.error(prompt + ".logits_last",
                    relative_error(tail(values_of<float>(sequence.logits()), want.size()), want), limits_.logits);
    }
    if (mtp)
      check_mtp(sequence);
    if (take(prompt + ".greedy_ids"))
      check_greedy(prompt, tokens);
  }

  void check_layer(abyssal::sequence &sequence, const std::string &prompt, std::int32_t layer) {
    const std::string at = "." + std::to_string(layer);
    const auto name_of = [&](const char *kind) { return std::string(prompt).append(kind).append(at); };
    for (const char *kind : {".hidden", ".hidden_last8"}) {
      const std::string name = name_of(kind);
      if (!take(name))
        continue;
      const auto want = expected_.floats(name);
      const auto got = tail(values_of<float>(sequence.output(ABY_OUTPUT_HIDDEN, layer)), want.size());
      report_.error(name, relative_error(got, want), limits_.hidden);
    }
    const auto cached = [&](const char *kind, aby_output_kind output) {
      const std::string name = name_of(kind);
      if (take(name))
        report_.error(name, relative_error(values_of<float>(sequence.output(output, layer)), expected_.floats(name)),
                      limits_.hidden);
    };
    cached(".c_kv", ABY_OUTPUT_CACHE_C_KV);
    cached(".k_rope", ABY_OUTPUT_CACHE_K_ROPE);
    if (take(prompt + ".route_index" + at))
      check_routes(sequence, prompt, layer);
  }

  // Experts must be the same wherever the arithmetic resolves them. An expert may be exchanged for another of nearly
  // the same weight; with exact arithmetic none may.
  void check_routes(abyssal::sequence &sequence, const std::string &prompt, std::int32_t layer) {
    const std::string at = "." + std::to_string(layer);
    const auto want = expected_.ints(prompt + ".route_index" + at);
    const auto got = values_of<std::int32_t>(sequence.output(ABY_OUTPUT_ROUTE_INDEX, layer));
    const std::size_t k = info_.top_k;
    std::size_t differ = 0;
    for (std::size_t row = 0; row + k <= want.size() && want.size() == got.size(); row += k)
      differ += std::equal(want.begin() + static_cast<std::ptrdiff_t>(row),
                           want.begin() + static_cast<std::ptrdiff_t>(row + k),
                           got.begin() + static_cast<std::ptrdiff_t>(row))
                    ? 0
                    : 1;
    const std::size_t rows = want.size() / std::max<std::size_t>(k, 1);
    const std::size_t allowed = exact() ? 0 : rows / 5; // bf16 cannot resolve every route
    report_.finding(prompt + ".route_index" + at, want.size() == got.size() && differ <= allowed,
                    std::to_string(rows - std::min(differ, rows)) + " of " + std::to_string(rows) + " rows equal");
    if (!take(prompt + ".route_weight" + at))
      return;
    const auto weights = values_of<float>(sequence.output(ABY_OUTPUT_ROUTE_WEIGHT, layer));
    const auto want_weights = expected_.floats(prompt + ".route_weight" + at);
    report_.error(prompt + ".route_weight" + at, common_weight_error(k, want, got, want_weights, weights),
                  limits_.route_weight);
  }

  // Over the rows whose experts are the same.
  static double common_weight_error(std::size_t k, const std::vector<std::int32_t> &want,
                                    const std::vector<std::int32_t> &got, const std::vector<float> &want_weights,
                                    const std::vector<float> &weights) {
    if (want.size() != got.size() || want.size() != want_weights.size() || want.size() != weights.size())
      return INFINITY;
    std::vector<float> a, b;
    for (std::size_t row = 0; row + k <= want.size(); row += k) {
      const auto begin = static_cast<std::ptrdiff_t>(row), end = static_cast<std::ptrdiff_t>(row + k);
      if (!std::equal(want.begin() + begin, want.begin() + end, got.begin() + begin))
        continue;
      a.insert(a.end(), weights.begin() + begin, weights.begin() + end);
      b.insert(b.end(), want_weights.begin() + begin, want_weights.begin() + end);
    }
    return relative_error(a, b);
  }

  void check_mtp(abyssal::sequence &sequence) {
    const auto all = values_of<float>(sequence.output(ABY_OUTPUT_MTP_LOGITS));
    if (take("mtp.logits_last")) {
      const auto want = expected_.floats("mtp.logits_last");
      report_.error("mtp.logits_last", relative_error(tail(all, want.size()), want), limits_.logits);
    }
    if (!take("mtp.draft_ids"))
      return;
    const auto want = expected_.ints("mtp.draft_ids");
    const std::size_t vocab = info_.vocab_size;
    bool good = all.size() == want.size() * vocab;
    std::size_t equal = 0;
    for (std::size_t i = 0; good && i < want.size(); ++i) {
      const auto row = all.begin() + static_cast<std::ptrdiff_t>(i * vocab);
      const auto best = std::max_element(row, row + static_cast<std::ptrdiff_t>(vocab));
      equal += best - row == want[i] ? 1 : 0;
      good = want[i] >= 0 && static_cast<std::size_t>(want[i]) < vocab && *best - row[want[i]] <= limits_.gap;
    }
    report_.finding("mtp.draft_ids", good,
                    std::to_string(equal) + " of " + std::to_string(want.size()) + " drafts equal");
  }

  void check_greedy(const std::string &prompt, const std::vector<std::int32_t> &tokens) {
    const auto want = expected_.ints(prompt + ".greedy_ids");
    std::vector<float> gap(want.size(), INFINITY);
    if (take(prompt + ".greedy_gap"))
      gap = expected_.floats(prompt + ".greedy_gap");
    abyssal::sequence sequence(model_);
    aby_reply_options options = abyssal::default_reply_options();
    options.temperature = 0;
    options.ignore_eos = 1;
    options.plain = 1;
    options.max_tokens = want.size();
    abyssal::generation generation(sequence, tokens, options);
    const Reply reply = finish_reply(generation, nullptr);
    std::size_t equal = 0;
    while (equal < want.size() && equal < reply.tokens.size() && reply.tokens[equal] == want[equal])
      ++equal;
    // The first difference is allowed where the two best logits are closer than the arithmetic resolves.
    const bool good = equal == want.size() || (equal < gap.size() && gap[equal] <= limits_.gap);
    char text[96];
    std::snprintf(text, sizeof text, "%zu of %zu steps equal", equal, want.size());
    report_.finding(prompt + ".greedy_ids", good, text);
  }

  bool exact() const { return limits_.gap < 0.01f; }

  const VerifyOptions &options_;
  const Expected &expected_;
  abyssal::model model_;
  aby_model_info info_;
  Limits limits_;
  bool mtp_;
  Report report_;
  std::set<std::string> seen_;
};

int verify(VerifyOptions options) {
  std::unique_ptr<Expected> expected;
  try {
    expected = std::make_unique<Expected>(options.expected);
    options.model.prefer_f32(); // reference values resolve more than bf16 does
    options.model.mtp = expected->has("mtp.logits_last") || expected->has("mtp.draft_ids");
    return Verification(options, *expected, options.model.open(), options.model.mtp).run();
  } catch (const abyssal::error &error) { // 1 is for a miss
    throw UsageError(error.what());
  } catch (const std::exception &error) {
    throw UsageError(error.what());
  }
}

} // namespace

Command add_verify(CLI::App &app) {
  CLI::App *command = app.add_subcommand(
      "verify", "Checks a checkpoint against reference values, in float32 unless --activations or --weights "
                "says otherwise. Exit status: 0 all ok, 1 a miss, 2 an error");
  const auto options = std::make_shared<VerifyOptions>();
  options->model.add(*command);
  command->add_option("EXPECTED", options->expected, "reference values: a .safetensors file")->required();
  command->add_option("--hidden-limit", options->hidden, "largest error of hidden states (default by the arithmetic)");
  command->add_option("--logits-limit", options->logits, "largest error of logits (default by the arithmetic)");
  command->add_option("--chunk", options->chunk, "tokens of one pass (default: 1024, or 512 for wide models)");
  command->add_flag("--json", options->json, "print one JSON object");
  return [options] { return verify(*options); };
}

} // namespace cli
