#include "bench_profile.h"

#include "terminal.h"

#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>

namespace cli {

namespace {

// Measures what the body does with the model.
template <typename Body> BenchProfile measure(abyssal::model &model, Body &&body) {
  BenchProfile profile;
  model.profile(true);
  const auto begin = std::chrono::steady_clock::now();
  body();
  profile.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  model.profile(false);
  profile.parts = model.profile_parts();
  profile.threads = model.device().info().threads;
  return profile;
}

bool is_prompt(const BenchProfile &profile) { return std::string_view(profile.kind) == "prompt"; }

// A number right-aligned in a column of nine; "-" for none.
std::string cell(const char *format, double value) {
  char text[32] = "-", padded[40];
  if (value > 0)
    std::snprintf(text, sizeof text, format, value);
  std::snprintf(padded, sizeof padded, " %9s", text);
  return padded;
}

void print_row(const BenchProfile &profile, const char *name, double seconds, std::uint64_t calls, std::uint64_t work) {
  char line[128];
  std::snprintf(line, sizeof line, "%-24s %10.4f %7.1f %%", name, 1e3 * seconds / static_cast<double>(profile.tokens),
                100 * seconds / profile.seconds);
  const double rate = seconds > 0 ? static_cast<double>(work) / seconds / 1e9 : 0;
  print(line + cell("%.0f", static_cast<double>(calls)) + cell("%.1f", rate) + "\n");
}

} // namespace

double BenchProfile::others() const {
  double rest = seconds;
  for (const aby_profile_part &part : parts)
    rest -= part.seconds;
  return rest;
}

BenchProfile profile_prompt(abyssal::model model, abyssal::sequence &sequence, const std::vector<std::int32_t> &tokens,
                            const aby_eval_options &options) {
  const std::size_t depth = sequence.length();
  BenchProfile profile = measure(model, [&] { sequence.eval(tokens, options); });
  sequence.truncate(depth);
  profile.kind = "prompt";
  profile.tokens = tokens.size();
  profile.depth = depth;
  return profile;
}

BenchProfile profile_decode(abyssal::model model, abyssal::sequence &sequence, std::int32_t first,
                            std::uint64_t count) {
  const std::size_t depth = sequence.length();
  BenchProfile profile;
  {
    aby_reply_options options = abyssal::default_reply_options();
    options.ignore_eos = 1;
    options.max_tokens = count + 1;
    abyssal::generation reply(sequence, {first}, options);
    const auto draw = [&] {
      if (reply.step().kind[0] != ABY_EVENT_TOKEN)
        throw std::runtime_error("the reply that is to be profiled ended early");
    };
    reply.step(); // evaluates the first token
    draw();
    profile = measure(model, [&] { // each step evaluates the token drawn before and draws one
      for (std::uint64_t i = 0; i < count; ++i)
        draw();
    });
  }
  sequence.truncate(depth);
  profile.kind = "decode";
  profile.tokens = count;
  profile.depth = depth;
  return profile;
}

std::uint64_t bytes_of_token(abyssal::model model, abyssal::sequence &sequence, std::int32_t token) {
  std::uint64_t bytes = 0;
  for (const aby_profile_part &part :
       profile_prompt(std::move(model), sequence, {token}, abyssal::default_eval_options()).parts)
    bytes += part.bytes;
  return bytes;
}

void print_profile(const BenchProfile &profile) {
  char line[160];
  std::snprintf(line, sizeof line, "\n%s of %llu at depth %llu, %u threads: %.3f ms a token\n", profile.kind,
                static_cast<unsigned long long>(profile.tokens), static_cast<unsigned long long>(profile.depth),
                profile.threads, 1e3 * profile.seconds / static_cast<double>(profile.tokens));
  print(line);
  std::snprintf(line, sizeof line, "%-24s %10s %9s %9s %9s\n", "part", "ms/token", "share", "calls",
                is_prompt(profile) ? "GFLOP/s" : "GB/s");
  print(line);
  for (const aby_profile_part &part : profile.parts) {
    if (part.calls > 0)
      print_row(profile, part.name, part.seconds, part.calls, is_prompt(profile) ? part.flops : part.bytes);
  }
  print_row(profile, "everything else", profile.others(), 0, 0);
}

nlohmann::ordered_json profile_json(const BenchProfile &profile) {
  auto parts = nlohmann::ordered_json::array();
  for (const aby_profile_part &part : profile.parts)
    parts.push_back({{"name", part.name},
                     {"calls", part.calls},
                     {"seconds", part.seconds},
                     {"flops", part.flops},
                     {"bytes", part.bytes}});
  return {{"kind", profile.kind},
          {"tokens", profile.tokens},
          {"depth", profile.depth},
          {"threads", profile.threads},
          {"seconds", profile.seconds},
          {"everything_else", profile.others()},
          {"parts", parts}};
}

} // namespace cli
