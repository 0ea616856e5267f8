// A head that is the embedding's table: where it is quantised, its products take the packed layout, while rows are
// looked up as they are stored.
#include "support/api.h"
#include "support/expected.h"

#include <algorithm>
#include <numeric>

namespace {

using namespace test;

const std::string kTied = std::string(ABYSSAL_TEST_DATA) + "/conformance-gguf/tiny-qwen2-Q4_K_M";
constexpr std::size_t kVocab = 1280, kHidden = 256;
constexpr std::uint64_t kStored = kVocab * kHidden / 256 * 210; // q6_k
constexpr std::uint64_t kPacked = kVocab * kHidden / 8 * 10;    // as bytes with a float32 scale for each 16

aby_model_options options_for(aby_dtype activations) {
  aby_model_options options = model_options();
  options.backend = "cpu";
  options.activations = activations;
  options.cache_tokens = 1536;
  return options;
}

aby_model_info info_of(const Model &model) {
  aby_model_info info;
  ABY_REQUIRE(aby_model_info_get(&info, sizeof info, model.get()));
  return info;
}

// The embedding's table, as the model looks it up.
std::vector<float> table_of(const Model &model) {
  std::vector<std::int32_t> all(kVocab);
  std::iota(all.begin(), all.end(), 0);
  const Sequence s = sequence(model);
  aby_eval_options options = eval_options();
  options.keep = ABY_KEEP_HIDDEN_LAYERS;
  eval(s, all, options);
  return floats(output(s, ABY_OUTPUT_HIDDEN, 0));
}

struct Head {
  std::vector<float> logits, wanted; // [rows, vocab]: the model's, and its last states times the table
  std::uint64_t bytes = 0;           // that the product reads
};

std::uint64_t head_bytes(const Model &model) {
  std::size_t count = 0;
  ABY_REQUIRE(aby_model_profile_count(&count, model.get()));
  for (std::size_t i = 0; i < count; ++i) {
    aby_profile_part part;
    ABY_REQUIRE(aby_model_profile_get(&part, sizeof part, model.get(), i));
    if (std::string(part.name) == "head")
      return part.bytes;
  }
  return 0;
}

// Of the last `rows` tokens.
Head head_of(const Model &model, const std::vector<float> &table, const std::vector<std::int32_t> &tokens,
             std::size_t rows) {
  const Sequence s = sequence(model);
  aby_eval_options options = eval_options();
  options.logits = rows;
  options.keep = ABY_KEEP_HIDDEN;
  ABY_REQUIRE(aby_model_profile(model.get(), 1));
  eval(s, tokens, options);
  ABY_REQUIRE(aby_model_profile(model.get(), 0));
  Head head{logits(s), {}, head_bytes(model)};
  const std::vector<float> states = floats(output(s, ABY_OUTPUT_HIDDEN, -1));
  const std::size_t hidden = table.size() / kVocab;
  for (std::size_t r = tokens.size() - rows; r < tokens.size(); ++r) {
    for (std::size_t i = 0; i < kVocab; ++i) {
      const float *row = &table[i * hidden];
      head.wanted.push_back(static_cast<float>(std::inner_product(row, row + hidden, &states[r * hidden], 0.0)));
    }
  }
  return head;
}

} // namespace

TEST_CASE("a tied head of quantised weights is multiplied packed, and its rows are looked up in the file") {
  const Expected expected(kTied + ".expected.safetensors");
  const auto tokens = expected.ints("p2.input_ids");
  const Model packed = open(kTied + ".gguf", options_for(ABY_DTYPE_AUTO));
  const Model stored = open(kTied + ".gguf", options_for(ABY_DTYPE_F32));
  const std::vector<float> table = table_of(packed);
  CHECK(table == table_of(stored));

  const Head fast = head_of(packed, table, tokens, 24), exact = head_of(stored, table, tokens, 24);
  CHECK(fast.bytes == kPacked);
  CHECK(exact.bytes == kStored);
  CHECK(relative_error(fast.logits, fast.wanted) < 1e-2); // activations have 8 bits
  CHECK(relative_error(exact.logits, exact.wanted) < 1e-6);

  // Both are paid for; it is one tensor of the file and of the model's parameters all the same.
  aby_model_plan plan;
  const aby_model_options options = options_for(ABY_DTYPE_AUTO);
  ABY_REQUIRE(aby_model_plan_get(&plan, sizeof plan, (kTied + ".gguf").c_str(), &options));
  CHECK(plan.weight_bytes == info_of(packed).weight_bytes);
  CHECK(info_of(packed).mapped_bytes == kStored);
  CHECK(info_of(packed).parameters == info_of(stored).parameters);
  CHECK(info_of(packed).active_parameters == info_of(stored).active_parameters);
  CHECK(info_of(packed).file_bytes == info_of(stored).file_bytes);
}

TEST_CASE("a packed head has the same bits whatever rows are beside it") {
  const Expected expected(kTied + ".expected.safetensors");
  const auto tokens = expected.ints("p2.input_ids");
  const Model model = open(kTied + ".gguf", options_for(ABY_DTYPE_AUTO));
  std::vector<float> last;
  for (const std::size_t rows : {std::size_t{1}, std::size_t{7}, tokens.size()}) {
    CAPTURE(rows);
    const Sequence s = sequence(model);
    aby_eval_options options = eval_options();
    options.logits = rows;
    eval(s, tokens, options);
    const std::vector<float> all = logits(s), row(all.end() - static_cast<std::ptrdiff_t>(kVocab), all.end());
    CHECK((last.empty() || row == last));
    last = row;
  }
}

TEST_CASE("a table that is replaced is the head's too") {
  const auto tokens = Expected(kTied + ".expected.safetensors").ints("p1.input_ids");
  const Model model = open(kTied + ".gguf", options_for(ABY_DTYPE_AUTO));
  std::vector<float> table = table_of(model);
  std::reverse(table.begin(), table.end());
  auto tensor = make<aby_tensor>(aby_tensor_init);
  tensor.name = "model.embed_tokens.weight";
  tensor.dtype = ABY_DTYPE_F32;
  tensor.data = table.data();
  tensor.bytes = table.size() * sizeof(float);
  tensor.rank = 2;
  tensor.shape[0] = kVocab;
  tensor.shape[1] = kHidden;
  const aby_tensor *tensors[] = {&tensor};
  ABY_REQUIRE(aby_model_update(model.get(), tensors, 1));
  CHECK(table_of(model) == table);
  const Head head = head_of(model, table, tokens, tokens.size());
  CHECK(head.bytes == kVocab * kHidden * sizeof(float)); // floats have no layout of their own
  CHECK(relative_error(head.logits, head.wanted) < 1e-6);
}

TEST_CASE("a tied head that is not quantised is the table itself, also where weights are rounded") {
  const auto tokens = Expected(kTied + ".expected.safetensors").ints("p1.input_ids");
  for (const aby_weights_kind weights : {ABY_WEIGHTS_INT8, ABY_WEIGHTS_INT4}) {
    aby_model_options options = options_for(ABY_DTYPE_AUTO);
    options.weights = weights;
    const Model model = open(checkpoint("tiny-r1-distill-qwen"), options);
    const std::vector<float> table = table_of(model);
    const Head head = head_of(model, table, tokens, tokens.size());
    CHECK(head.bytes == table.size() * 2); // bf16
    CHECK(relative_error(head.logits, head.wanted) < 1e-6);
  }
}
