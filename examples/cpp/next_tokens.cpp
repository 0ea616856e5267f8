// The likeliest next tokens of a text, then a greedy continuation of it, in C++17.
//
//   example_cpp MODEL_FOLDER [TEXT [NEW_TOKENS]]
#include <abyssal/abyssal.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

namespace {

// Reads the logits where the library keeps them: they are valid until the sequence changes.
void print_likeliest(const abyssal::model &model, abyssal::sequence &sequence, std::size_t how_many) {
  const aby_array logits = sequence.logits(); // F32 [1, vocab_size]
  const auto *row = static_cast<const float *>(logits.data);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(logits.shape[1]));
  std::iota(ids.begin(), ids.end(), 0);
  how_many = std::min(how_many, ids.size());
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(how_many), ids.end(),
                    [row](std::int32_t a, std::int32_t b) { return row[a] > row[b]; });
  double sum = 0;
  for (const std::int32_t id : ids)
    sum += std::exp(double{row[id]} - double{row[ids[0]]});
  for (std::size_t i = 0; i < how_many; ++i)
    std::printf("%6.2f%%  %6d  %s\n", 100 * std::exp(double{row[ids[i]]} - double{row[ids[0]]}) / sum, ids[i],
                model.detokenize({ids[i]}).c_str());
}

// Writes the continuation onto a fork: the sequence itself stays as it is.
void print_greedy(const abyssal::sequence &sequence, std::uint64_t max_tokens) {
  abyssal::sequence fork = sequence.fork();
  const std::vector<std::int32_t> tokens = fork.tokens();
  fork.truncate(tokens.size() - 1); // a fork has no logits of its own: its last token is evaluated again
  aby_reply_options options = abyssal::default_reply_options();
  options.temperature = 0;
  options.max_tokens = max_tokens;
  options.plain = 1;
  abyssal::generation generation(fork, {tokens.back()}, options);
  aby_event_kind kind = ABY_EVENT_PROMPT;
  while (kind != ABY_EVENT_END) {
    const aby_events events = generation.step();
    const std::string_view text = abyssal::text_of(events, 0);
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
    kind = events.kind[0];
  }
  std::puts("");
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 2 || argc > 4) {
    std::fprintf(stderr, "usage: %s MODEL_FOLDER [TEXT [NEW_TOKENS]]\n", argv[0]);
    return 2;
  }
  try {
    const abyssal::model model(argv[1]);
    const abyssal::device device = model.device();
    const aby_model_info info = model.info();
    std::fprintf(stderr, "%s, %u layers, on %s\n", info.architecture, info.layers, device.info().name);
    const std::string text = argc > 2 ? argv[2] : "The capital of France is";
    abyssal::sequence sequence(model);
    sequence.eval(model.tokenize(text, ABY_TOKENIZE_ADD_BOS));
    print_likeliest(model, sequence, 5);
    std::printf("\n%s", text.c_str());
    print_greedy(sequence, argc > 3 ? std::stoull(argv[3]) : 32);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
