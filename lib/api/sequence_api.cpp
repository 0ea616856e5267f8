#include "api/boundary.h"
#include "api/handles.h"

using namespace abyssal;
using namespace abyssal::api;

namespace {

aby_eval_options default_eval_options() noexcept {
  aby_eval_options options{};
  options.logits = 1;
  return options;
}

EvalOptions eval_options(const aby_eval_options *raw_options) {
  const auto given = read_struct(raw_options, default_eval_options(), "aby_eval_options");
  constexpr std::uint32_t known = ABY_KEEP_HIDDEN | ABY_KEEP_HIDDEN_LAYERS | ABY_KEEP_ROUTES;
  if ((given.keep & ~known) != 0)
    fail(ABY_ERROR_INVALID_ARGUMENT, "keep flags ", given.keep, " are not known");
  EvalOptions options;
  options.keep_layers = (given.keep & ABY_KEEP_HIDDEN_LAYERS) != 0;
  options.keep_hidden = options.keep_layers || (given.keep & ABY_KEEP_HIDDEN) != 0;
  options.keep_routes = (given.keep & ABY_KEEP_ROUTES) != 0;
  options.logits = given.logits;
  options.mtp = given.mtp != 0;
  options.chunk = given.chunk;
  options.cancel = given.cancel;
  return options;
}

EvalItem item_of(aby_sequence *sequence, const std::int32_t *tokens, std::size_t count) {
  require(sequence, "sequence");
  if (count > 0)
    require(tokens, "tokens");
  return {sequence->sequence.get(), {tokens, count}};
}

} // namespace

extern "C" {

aby_status aby_sequence_create(aby_sequence **out, aby_model *model) {
  return guard([&] {
    require(out, "out");
    require(model, "model");
    *out = new aby_sequence{std::make_shared<Sequence>(model->model)};
  });
}

aby_status aby_eval_options_init(aby_eval_options *out, size_t struct_size) {
  return init_struct(out, struct_size, default_eval_options(), "aby_eval_options");
}

aby_status aby_sequence_eval(aby_sequence *sequence, const int32_t *tokens, size_t count,
                             const aby_eval_options *options) {
  return guard([&] {
    const EvalItem item = item_of(sequence, tokens, count);
    evaluate({&item, 1}, eval_options(options));
  });
}

aby_status aby_sequence_eval_batch(aby_sequence *const *sequences, const int32_t *const *tokens, const size_t *counts,
                                   size_t count, const aby_eval_options *options) {
  return guard([&] {
    require(sequences, "sequences");
    require(tokens, "tokens");
    require(counts, "counts");
    std::vector<EvalItem> items;
    items.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
      items.push_back(item_of(sequences[i], tokens[i], counts[i]));
    evaluate(items, eval_options(options));
  });
}

aby_status aby_sequence_output(aby_array *out, size_t struct_size, aby_sequence *sequence, aby_output_kind output,
                               int32_t layer) {
  return guard([&] {
    check_out(out, struct_size, "aby_array");
    require(sequence, "sequence");
    const OutputArray result = sequence->sequence->output(output, layer);
    aby_array array{};
    array.dtype = result.dtype;
    array.data = result.data;
    array.rank = static_cast<std::uint32_t>(result.shape.size());
    std::copy(result.shape.begin(), result.shape.end(), array.shape);
    fill_struct(out, struct_size, array, "aby_array");
  });
}

aby_status aby_sequence_length(size_t *out, const aby_sequence *sequence) {
  return guard([&] {
    require(out, "out");
    require(sequence, "sequence");
    *out = sequence->sequence->length();
  });
}

aby_status aby_sequence_tokens(int32_t *out, size_t capacity, size_t *out_count, const aby_sequence *sequence) {
  return guard([&] {
    require(sequence, "sequence");
    const std::vector<std::int32_t> tokens = sequence->sequence->tokens();
    write_array(out, capacity, out_count, tokens.data(), tokens.size());
  });
}

aby_status aby_sequence_truncate(aby_sequence *sequence, size_t length) {
  return guard([&] {
    require(sequence, "sequence");
    sequence->sequence->truncate(length);
  });
}

aby_status aby_sequence_fork(aby_sequence **out, const aby_sequence *sequence) {
  return guard([&] {
    require(out, "out");
    require(sequence, "sequence");
    *out = new aby_sequence{sequence->sequence->fork()};
  });
}

void aby_sequence_destroy(aby_sequence *sequence) { delete sequence; }

} // extern "C"
