// bench: prompt and decode rates at given depths, beside what the machine can do at most.
#include "backends/cpu/ceilings.h"
#include "commands.h"
#include "model_options.h"
#include "terminal.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>

namespace cli {

namespace {

using Json = nlohmann::ordered_json;

struct BenchOptions {
  ModelOptions model;
  std::uint64_t prompt = 512, decode = 32;
  std::vector<std::uint64_t> depths = {0};
  std::vector<unsigned> threads;
  int repeats = 3;
  bool json = false, no_ceilings = false;
};

struct Result {
  const char *kind;
  std::uint64_t tokens, depth;
  unsigned threads;
  double median, least, most; // tokens per second
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

Result summarise(const char *kind, std::uint64_t tokens, std::uint64_t depth, unsigned threads, std::vector<double> rates) {
  std::sort(rates.begin(), rates.end());
  return {kind, tokens, depth, threads, rates[rates.size() / 2], rates.front(), rates.back()};
}

template <typename Body> double rate(std::uint64_t tokens, Body &&body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return static_cast<double>(tokens) / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Measures one depth: the depth is filled once, and each repeat starts from a truncation to it.
void measure(const BenchOptions &options, const abyssal::model &model, std::uint64_t depth, unsigned threads,
             std::vector<Result> &results) {
  const std::uint32_t vocab = model.info().vocab_size;
  abyssal::sequence sequence(model);
  if (depth > 0)
    sequence.eval(bench_tokens(depth, vocab));
  const std::vector<std::int32_t> tokens = bench_tokens(std::max(options.prompt, options.decode + 1), vocab);
  if (options.prompt > 0) {
    std::vector<double> rates;
    for (int i = 0; i <= options.repeats; ++i) { // the first warms up
      const double measured = rate(options.prompt, [&] { sequence.eval(tokens.data(), options.prompt); });
      if (i > 0)
        rates.push_back(measured);
      sequence.truncate(depth);
    }
    results.push_back(summarise("prompt", options.prompt, depth, threads, rates));
  }
  if (options.decode > 0) {
    std::vector<double> rates;
    for (int i = 0; i < options.repeats; ++i) {
      sequence.eval(tokens.data(), 1); // warms up
      rates.push_back(rate(options.decode, [&] {
        for (std::uint64_t t = 1; t <= options.decode; ++t)
          sequence.eval(tokens.data() + t, 1);
      }));
      sequence.truncate(depth);
    }
    results.push_back(summarise("decode", options.decode, depth, threads, rates));
  }
}

struct Ceilings {
  double read = 0, f32 = 0, bf16 = 0, s8 = 0;
};

Ceilings measure_ceilings(unsigned threads) {
  using namespace abyssal::cpu;
  return {measure_read_bandwidth(threads), measure_matmul_rate(threads, ABY_DTYPE_F32),
          measure_matmul_rate(threads, ABY_DTYPE_BF16), measure_matmul_rate(threads, ABY_DTYPE_I8)};
}

Json ceilings_json(const Ceilings &c) {
  return {{"read_bytes_per_second", c.read},
          {"matmul_f32_flops", c.f32},
          {"matmul_bf16_flops", c.bf16},
          {"matmul_s8_ops", c.s8}};
}

void print_table(const std::vector<Result> &results, const Ceilings &c, bool ceilings) {
  char line[160];
  print("kind    tokens   depth  threads   tokens/s      (least to most)\n");
  for (const Result &r : results) {
    std::snprintf(line, sizeof line, "%-6s %7llu %7llu %8u %10.2f   (%.2f to %.2f)\n", r.kind,
                  static_cast<unsigned long long>(r.tokens), static_cast<unsigned long long>(r.depth), r.threads, r.median,
                  r.least, r.most);
    print(line);
  }
  if (!ceilings)
    return;
  std::snprintf(line, sizeof line, "ceilings: read %.1f GB/s, oneDNN matmul f32 %.0f GFLOP/s, bf16 %.0f GFLOP/s, s8 %.0f GOP/s\n",
                c.read / 1e9, c.f32 / 1e9, c.bf16 / 1e9, c.s8 / 1e9);
  print(line);
}

int bench(BenchOptions options) {
  std::vector<unsigned> threads = options.threads;
  if (threads.empty())
    threads.push_back(options.model.threads);
  const std::uint64_t deepest = *std::max_element(options.depths.begin(), options.depths.end());
  const std::uint64_t most = deepest + std::max(options.prompt, options.decode + 1);
  if (options.model.cache_tokens == 0)
    options.model.cache_tokens = most;
  std::vector<Result> results;
  Ceilings ceilings;
  for (const unsigned count : threads) {
    options.model.threads = count;
    const abyssal::model model = options.model.open();
    if (most > model.info().context_length)
      throw std::runtime_error("depth " + std::to_string(deepest) + " and the tokens measured exceed the model's context of " +
                               std::to_string(model.info().context_length));
    for (const std::uint64_t depth : options.depths)
      measure(options, model, depth, model.device().info().threads, results);
  }
  if (!options.no_ceilings)
    ceilings = measure_ceilings(threads.back());
  if (!options.json) {
    print_table(results, ceilings, !options.no_ceilings);
    return kOk;
  }
  Json list = Json::array();
  for (const Result &r : results)
    list.push_back({{"kind", r.kind},
                    {"tokens", r.tokens},
                    {"depth", r.depth},
                    {"threads", r.threads},
                    {"tokens_per_second", r.median},
                    {"min", r.least},
                    {"max", r.most}});
  print_json({{"results", list}, {"ceilings", options.no_ceilings ? Json::object() : ceilings_json(ceilings)}});
  return kOk;
}

} // namespace

Command add_bench(CLI::App &app) {
  CLI::App *command = app.add_subcommand("bench", "Prompt and decode rates, beside the machine's ceilings in the same run");
  const auto options = std::make_shared<BenchOptions>();
  options->model.add(*command);
  command->add_option("-p,--prompt", options->prompt, "prompt tokens (default 512; 0: none)");
  command->add_option("-n,--decode", options->decode, "decoded tokens (default 32; 0: none)");
  command->add_option("-d,--depth", options->depths, "context depths, such as 0,8192 (default 0)")->delimiter(',');
  command->add_option("-t", options->threads, "thread counts, such as 1,2 (default: one per core)")->delimiter(',');
  command->add_option("-r,--repeats", options->repeats, "measured repeats (default 3)")->check(CLI::Range(1, 100));
  command->add_flag("--no-ceilings", options->no_ceilings, "do not measure the machine");
  command->add_flag("--json", options->json, "print one JSON object: results, ceilings");
  return [options] { return bench(*options); };
}

} // namespace cli
