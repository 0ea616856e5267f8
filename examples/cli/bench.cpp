// bench: prompt and decode rates at given depths, beside what the machine can do at most.
#include "backends/cpu/ceilings.h"
#include "bench_profile.h"
#include "commands.h"
#include "model_options.h"
#include "terminal.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <initializer_list>
#include <map>
#include <memory>
#include <tuple>

namespace cli {

namespace {

using Json = nlohmann::ordered_json;

struct BenchOptions {
  ModelOptions model;
  std::uint64_t prompt = 512, decode = 32;
  std::vector<std::uint64_t> depths = {0};
  std::vector<unsigned> threads;
  int repeats = 3;
  std::uint32_t chunk = 0;
  bool json = false, no_ceilings = false, profile = false;

  aby_eval_options eval() const {
    aby_eval_options made = abyssal::default_eval_options();
    made.chunk = chunk;
    return made;
  }
};

// What a token needs at least: of a prompt the products with the active weights, in decoding the reading of them and of
// the cached rows. The other is 0.
struct TokenWork {
  double flops = 0, bytes = 0;
};

struct Result {
  const char *kind;
  std::uint64_t tokens, depth;
  unsigned threads;
  TokenWork work;
  double median, least, most; // tokens per second
};

struct Measured {
  int weight_bits = 0; // that products with quantised weights multiply; 0: the model has none
  std::vector<Result> results;
  std::vector<BenchProfile> profiles;
};

// Fixed and varied, so that routing spreads over the experts.
std::vector<std::int32_t> bench_tokens(std::uint64_t count, std::uint32_t vocab) {
  std::vector<std::int32_t> tokens;
  std::uint64_t state = 12345;
  for (std::uint64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    tokens.push_back(static_cast<std::int32_t>((state >> 33) % vocab));
  }
  return tokens;
}

Result summarise(const char *kind, std::uint64_t tokens, std::uint64_t depth, unsigned threads, TokenWork work,
                 std::vector<double> rates) {
  std::sort(rates.begin(), rates.end());
  return {kind, tokens, depth, threads, work, rates[rates.size() / 2], rates.front(), rates.back()};
}

template <typename Body> double rate(std::uint64_t tokens, Body &&body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return static_cast<double>(tokens) / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void measure_prompt(const BenchOptions &options, const abyssal::model &model, abyssal::sequence &sequence,
                    unsigned threads, Measured &out) {
  const aby_model_info info = model.info();
  const std::uint64_t depth = sequence.length();
  const std::vector<std::int32_t> tokens = bench_tokens(options.prompt, info.vocab_size);
  std::vector<double> rates;
  for (int i = 0; i <= options.repeats; ++i) { // the first warms up
    const double measured = rate(options.prompt, [&] { sequence.eval(tokens, options.eval()); });
    if (i > 0)
      rates.push_back(measured);
    sequence.truncate(depth);
  }
  const TokenWork work{2 * static_cast<double>(info.active_parameters), 0};
  out.results.push_back(summarise("prompt", options.prompt, depth, threads, work, rates));
  if (options.profile)
    out.profiles.push_back(profile_prompt(model, sequence, tokens, options.eval()));
}

void measure_decode(const BenchOptions &options, const abyssal::model &model, abyssal::sequence &sequence,
                    unsigned threads, Measured &out) {
  const std::uint64_t depth = sequence.length();
  const std::vector<std::int32_t> tokens = bench_tokens(options.decode + 1, model.info().vocab_size);
  std::vector<double> rates;
  for (int i = 0; i < options.repeats; ++i) {
    sequence.eval(tokens.data(), 1); // warms up
    rates.push_back(rate(options.decode, [&] {
      for (std::uint64_t t = 1; t <= options.decode; ++t)
        sequence.eval(tokens.data() + t, 1);
    }));
    sequence.truncate(depth);
  }
  const TokenWork work{0, static_cast<double>(bytes_of_token(model, sequence, tokens[0]))};
  out.results.push_back(summarise("decode", options.decode, depth, threads, work, rates));
  if (options.profile)
    out.profiles.push_back(profile_decode(model, sequence, tokens[0], options.decode));
}

// Measures one depth: the depth is filled once, and each repeat starts from a truncation to it.
void measure(const BenchOptions &options, const abyssal::model &model, std::uint64_t depth, Measured &out) {
  const unsigned threads = model.device().info().threads;
  abyssal::sequence sequence(model);
  if (depth > 0)
    sequence.eval(bench_tokens(depth, model.info().vocab_size), options.eval());
  if (options.prompt > 0)
    measure_prompt(options, model, sequence, threads, out);
  if (options.decode > 0)
    measure_decode(options, model, sequence, threads, out);
}

// Bits that most of the model's products with quantised weights multiply; 0 where none does. The library says what
// layouts there are, not how much of the model each holds: where there are both, it goes by how the weights were
// rounded or by the size of the file.
int weight_bits_of(const abyssal::model &model, aby_weights_kind rounded) {
  const aby_model_info info = model.info();
  const std::string layouts = info.weight_layouts;
  const auto any_of = [&](std::initializer_list<const char *> kinds) {
    return std::any_of(kinds.begin(), kinds.end(),
                       [&](const char *kind) { return layouts.find(" as " + std::string(kind)) != std::string::npos; });
  };
  const bool four = any_of({"q4", "table4"}), eight = any_of({"q5", "q8"});
  if (info.arithmetic == ABY_DTYPE_F32 || (!four && !eight))
    return 0;
  constexpr double kFewBits = 5.25; // a weight: between files of 4 bits with some weights in 6, and those of 5
  const double stored = 8 * static_cast<double>(info.file_bytes) / static_cast<double>(info.parameters);
  const bool mostly_four = rounded != ABY_WEIGHTS_STORED ? rounded == ABY_WEIGHTS_INT4 : stored < kFewBits;
  return four && (!eight || mostly_four) ? 4 : 8;
}

struct Ceilings {
  abyssal::cpu::ReadRate read;
  double f32 = 0, bf16 = 0, s8 = 0;
  std::vector<abyssal::cpu::LoopRate> loops; // by weight_bits

  // The loop that weights of so many bits are multiplied in: that of the fewest bits that hold them. Null for none.
  const abyssal::cpu::LoopRate *loop_of(int weight_bits) const {
    const auto found =
        std::find_if(loops.begin(), loops.end(), [&](const auto &loop) { return loop.weight_bits >= weight_bits; });
    return weight_bits > 0 && found != loops.end() ? &*found : nullptr;
  }
};
using CeilingsByThreads = std::map<unsigned, Ceilings>;

Ceilings measure_ceilings(unsigned threads) {
  using namespace abyssal::cpu;
  return {measure_read_rate(threads), measure_matmul_rate(threads, ABY_DTYPE_F32),
          measure_matmul_rate(threads, ABY_DTYPE_BF16), measure_matmul_rate(threads, ABY_DTYPE_I8),
          measure_integer_loops(threads)};
}

// The ceilings, and which of them are the model's.
struct Bounds {
  CeilingsByThreads by_threads;
  int weight_bits = 0;
};

// What a result reaches of each ceiling; 0 where there is no such ceiling or the result has no such work. loop: of the
// one named, null without one.
struct Shares {
  double s8 = 0, bf16 = 0, f32 = 0, read = 0, loop = 0;
  const char *loop_name = nullptr;
};

Shares shares_of(const Result &r, const Bounds &bounds) {
  const auto found = bounds.by_threads.find(r.threads);
  if (found == bounds.by_threads.end())
    return {};
  const auto share = [&](double work, double most) { return most > 0 ? r.median * work / most : 0; };
  const Ceilings &c = found->second;
  const abyssal::cpu::LoopRate *loop = r.work.flops > 0 ? c.loop_of(bounds.weight_bits) : nullptr;
  return {share(r.work.flops, c.s8),
          share(r.work.flops, c.bf16),
          share(r.work.flops, c.f32),
          share(r.work.bytes, c.read.bytes_per_second),
          loop != nullptr ? share(r.work.flops, loop->ops_per_second) : 0,
          loop != nullptr ? loop->name : nullptr};
}

Json ceilings_json(unsigned threads, const Ceilings &c) {
  Json loops = Json::array();
  for (const abyssal::cpu::LoopRate &loop : c.loops)
    loops.push_back({{"name", loop.name}, {"weight_bits", loop.weight_bits}, {"ops", loop.ops_per_second}});
  return {{"threads", threads},
          {"read_bytes_per_second", c.read.bytes_per_second},
          {"read_bytes", c.read.bytes},
          {"matmul_f32_flops", c.f32},
          {"matmul_bf16_flops", c.bf16},
          {"matmul_s8_ops", c.s8},
          {"loops", loops}};
}

Json result_json(const Result &r, const Bounds &bounds) {
  Json result = {{"kind", r.kind},
                 {"tokens", r.tokens},
                 {"depth", r.depth},
                 {"threads", r.threads},
                 {"tokens_per_second", r.median},
                 {"min", r.least},
                 {"max", r.most}};
  const Shares shares = shares_of(r, bounds);
  if (r.work.flops > 0)
    result["flops_per_token"] = r.work.flops;
  if (r.work.bytes > 0)
    result["bytes_per_token"] = r.work.bytes;
  for (const auto &[name, share] : {std::pair{"share_of_s8", shares.s8}, std::pair{"share_of_bf16", shares.bf16},
                                    std::pair{"share_of_f32", shares.f32}, std::pair{"share_of_read", shares.read}}) {
    if (share > 0)
      result[name] = share;
  }
  if (shares.loop_name != nullptr) {
    result["loop"] = shares.loop_name;
    result["share_of_loop"] = shares.loop;
  }
  return result;
}

std::string percent(double share) {
  char text[32] = "-";
  if (share > 0)
    std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

void print_ceilings(unsigned threads, const Ceilings &c) {
  char line[200];
  std::snprintf(line, sizeof line, "ceilings at %u threads: read %.1f GB/s (%s), oneDNN matmul ", threads,
                c.read.bytes_per_second / 1e9, bytes_text(c.read.bytes).c_str());
  std::string text = line;
  for (const auto &[name, rate, unit] :
       {std::tuple{"s8", c.s8, "GOP/s"}, std::tuple{"bf16", c.bf16, "GFLOP/s"}, std::tuple{"f32", c.f32, "GFLOP/s"}}) {
    std::snprintf(line, sizeof line, "%s %.0f %s", name, rate / 1e9, unit);
    if (rate > 0)
      text += (text.ends_with("matmul ") ? "" : ", ") + std::string(line);
  }
  for (const abyssal::cpu::LoopRate &loop : c.loops) {
    std::snprintf(line, sizeof line, "%s for %d bits %.0f GOP/s", loop.name, loop.weight_bits,
                  loop.ops_per_second / 1e9);
    text += (&loop == c.loops.data() ? ", loops in registers: " : "; ") + std::string(line);
  }
  print(text + "\n");
}

void print_table(const std::vector<Result> &results, const Bounds &bounds) {
  char line[200];
  print("kind    tokens   depth  threads   tokens/s  (least to most)        work/token    of int   of bf16    of f32   "
        "of read\n");
  for (const Result &r : results) {
    char range[48], work[32];
    std::snprintf(range, sizeof range, "(%.2f to %.2f)", r.least, r.most);
    std::snprintf(work, sizeof work, "%.2f %s", (r.work.flops + r.work.bytes) / 1e9, r.work.flops > 0 ? "GFLOP" : "GB");
    const Shares shares = shares_of(r, bounds);
    std::snprintf(line, sizeof line, "%-6s %7llu %7llu %8u %10.2f  %-22s %10s %9s %9s %9s %9s\n", r.kind,
                  static_cast<unsigned long long>(r.tokens), static_cast<unsigned long long>(r.depth), r.threads,
                  r.median, range, work, percent(shares.s8 > 0 ? shares.s8 : shares.loop).c_str(),
                  percent(shares.bf16).c_str(), percent(shares.f32).c_str(), percent(shares.read).c_str());
    print(line);
  }
  for (const auto &[threads, c] : bounds.by_threads)
    print_ceilings(threads, c);
}

Measured measure_all(BenchOptions options, const std::vector<unsigned> &threads) {
  const std::uint64_t deepest = *std::max_element(options.depths.begin(), options.depths.end());
  const std::uint64_t most = deepest + std::max(options.prompt, options.decode + 1);
  if (options.model.cache_tokens == 0)
    options.model.cache_tokens = most;
  Measured measured;
  for (const unsigned count : threads) {
    options.model.threads = count;
    const abyssal::model model = options.model.open();
    if (most > model.info().context_length)
      throw std::runtime_error("depth " + std::to_string(deepest) +
                               " and the tokens measured exceed the model's context of " +
                               std::to_string(model.info().context_length));
    measured.weight_bits = weight_bits_of(model, options.model.weights());
    for (const std::uint64_t depth : options.depths)
      measure(options, model, depth, measured);
  }
  return measured;
}

int bench(const BenchOptions &options) {
  std::vector<unsigned> threads = options.threads;
  if (threads.empty())
    threads.push_back(options.model.threads);
  const Measured measured = measure_all(options, threads);
  Bounds bounds{{}, measured.weight_bits}; // the models are closed: the memory is free
  for (const Result &r : measured.results) {
    if (!options.no_ceilings && !bounds.by_threads.contains(r.threads))
      bounds.by_threads[r.threads] = measure_ceilings(r.threads);
  }
  if (!options.json) {
    print_table(measured.results, bounds);
    for (const BenchProfile &profile : measured.profiles)
      print_profile(profile);
    return kOk;
  }
  Json results = Json::array(), profiles = Json::array();
  for (const Result &r : measured.results)
    results.push_back(result_json(r, bounds));
  for (const BenchProfile &profile : measured.profiles)
    profiles.push_back(profile_json(profile));
  const auto last = bounds.by_threads.rbegin();
  Json all = {{"results", results},
              {"ceilings", bounds.by_threads.empty() ? Json::object() : ceilings_json(last->first, last->second)}};
  if (options.profile)
    all["profiles"] = profiles;
  print_json(all);
  return kOk;
}

} // namespace

Command add_bench(CLI::App &app) {
  CLI::App *command =
      app.add_subcommand("bench", "Prompt and decode rates, beside the machine's ceilings in the same run");
  const auto options = std::make_shared<BenchOptions>();
  options->model.add(*command);
  command->add_option("-p,--prompt", options->prompt, "prompt tokens (default 512; 0: none)");
  command->add_option("-n,--decode", options->decode, "decoded tokens (default 32; 0: none)");
  command->add_option("-d,--depth", options->depths, "context depths, such as 0,8192 (default 0)")->delimiter(',');
  command->add_option("--chunk", options->chunk, "prompt tokens of one pass (default: 1024, or 512 for wide models)");
  command->add_option("-t", options->threads, "thread counts, such as 1,2 (default: one per core)")->delimiter(',');
  command->add_option("-r,--repeats", options->repeats, "measured repeats (default 3)")->check(CLI::Range(1, 100));
  command->add_flag("--no-ceilings", options->no_ceilings, "do not measure the machine");
  command->add_flag("--profile", options->profile,
                    "then do each once more with the time of every part measured: embedding, norms, attention, router, "
                    "experts, head, sampling and so on");
  command->add_flag("--json", options->json, "print one JSON object: results, ceilings (at most threads), profiles");
  return [options] { return bench(*options); };
}

} // namespace cli
