// Where the time of a prompt and of decoding goes, part by part.
#pragma once

#include <abyssal/abyssal.hpp>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <vector>

namespace cli {

struct BenchProfile {
  const char *kind = "";
  std::uint64_t tokens = 0, depth = 0;
  unsigned threads = 0;
  double seconds = 0; // in all
  std::vector<aby_profile_part> parts;

  double others() const; // seconds in none of the parts
};

// Evaluates `tokens` as one prompt after what the sequence holds, and takes them away again.
BenchProfile profile_prompt(abyssal::model model, abyssal::sequence &sequence, const std::vector<std::int32_t> &tokens,
                            const aby_eval_options &options);

// Lets a reply of `count` tokens follow `first`, with the checkpoint's own sampling, and takes it away again.
BenchProfile profile_decode(abyssal::model model, abyssal::sequence &sequence, std::int32_t first, std::uint64_t count);

// Bytes of weights and cached rows that evaluating one token more must read.
std::uint64_t bytes_of_token(abyssal::model model, abyssal::sequence &sequence, std::int32_t token);

void print_profile(const BenchProfile &profile);
nlohmann::ordered_json profile_json(const BenchProfile &profile);

} // namespace cli
