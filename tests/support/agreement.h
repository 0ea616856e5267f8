// How often a model would draw the reference's own next token.
#pragma once

#include "support/api.h"
#include "support/expected.h"

#include <algorithm>

namespace test {

struct Agreement {
  std::size_t steps = 0, equal = 0, clear = 0, clear_equal = 0; // clear: the two best logits are far apart
};

// Follows the expected ids of each prompt and looks at what would have been drawn at each step.
inline void count_agreement(const Model &model, const Expected &expected, Agreement &agreement) {
  constexpr float kClearGap = 0.5f;
  aby_model_info info;
  ABY_REQUIRE(aby_model_info_get(&info, sizeof info, model.get()));
  for (const std::string prompt : {"p0", "p1", "p2", "p3"}) {
    auto tokens = expected.ints(prompt + ".input_ids");
    const auto want = expected.ints(prompt + ".greedy_ids");
    const auto gap = expected.floats(prompt + ".greedy_gap");
    tokens.insert(tokens.end(), want.begin(), want.end() - 1);
    const Sequence s = sequence(model);
    aby_eval_options options = eval_options();
    options.logits = want.size();
    eval(s, tokens, options);
    const std::vector<float> got = logits(s);
    for (std::size_t i = 0; i < want.size(); ++i) {
      const auto row = got.begin() + static_cast<std::ptrdiff_t>(i * info.vocab_size);
      const bool equal = std::max_element(row, row + info.vocab_size) - row == want[i];
      agreement.steps += 1;
      agreement.equal += equal ? 1 : 0;
      agreement.clear += gap[i] > kClearGap ? 1 : 0;
      agreement.clear_equal += gap[i] > kClearGap && equal ? 1 : 0;
    }
  }
}

} // namespace test
