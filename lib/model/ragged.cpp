#include "model/ragged.h"

#include "base/status.h"

#include <algorithm>
#include <numeric>

namespace abyssal {

namespace {

// Logits are computed and copied out in slices of this many rows, so that a large vocabulary does not need a large
// buffer when the logits of a whole prompt are wanted.
constexpr std::int32_t kLogitsSlice = 64;

std::int32_t blocks_for(std::int64_t tokens) noexcept {
  return static_cast<std::int32_t>((tokens + ABK_BLOCK_TOKENS - 1) / ABK_BLOCK_TOKENS);
}

} // namespace

Ragged::Ragged(std::span<const PassSequence> all, const Rope &rope) : sequences(all), rope_dim(rope.dim()) {
  row_begin.push_back(0);
  for (const PassSequence &sequence : sequences) {
    const auto count = static_cast<std::int32_t>(sequence.tokens.size());
    token_ids.insert(token_ids.end(), sequence.tokens.begin(), sequence.tokens.end());
    row_begin.push_back(row_begin.back() + count);
    context.push_back(sequence.context);
    table_stride = std::max(table_stride, blocks_for(std::int64_t{sequence.context} + count));
    for (std::int32_t i = 0; i < count; ++i)
      rope.append(rope_table, sequence.context + i);
  }
  for (const PassSequence &sequence : sequences) {
    const std::int32_t used = blocks_for(sequence.context + static_cast<std::int64_t>(sequence.tokens.size()));
    block_table.insert(block_table.end(), sequence.blocks.begin(), sequence.blocks.begin() + used);
    block_table.resize(block_table.size() + static_cast<std::size_t>(table_stride - used), 0);
  }
}

abk_batch_desc Ragged::desc() const noexcept {
  abk_batch_desc desc{};
  desc.tokens = rows();
  desc.sequences = static_cast<std::int32_t>(sequences.size());
  desc.token_ids = token_ids.data();
  desc.row_begin = row_begin.data();
  desc.context = context.data();
  desc.block_table = block_table.data();
  desc.table_stride = table_stride;
  desc.rope = rope_table.data();
  desc.rope_dim = rope_dim;
  return desc;
}

WorkspaceSize Ragged::workspace_size() const noexcept {
  WorkspaceSize size;
  size.rows = rows();
  for (const PassSequence &sequence : sequences) {
    size.context = std::max(size.context, sequence.context + static_cast<std::int32_t>(sequence.tokens.size()));
    size.logits_rows = std::max(size.logits_rows, std::min(sequence.logits, kLogitsSlice));
  }
  return size;
}

void logits_of_last_rows(const Pass &pass, const Ragged &ragged, abk_rows x, const WeightPtr &norm,
                         const WeightPtr &head, std::vector<float> &(*where)(SequenceOutputs &)) {
  const std::int64_t vocab = pass.spec.vocab_size;
  std::vector<std::int32_t> row_ids;
  for (std::size_t i = 0; i < ragged.sequences.size(); ++i) {
    const PassSequence &sequence = ragged.sequences[i];
    const std::int32_t kept = ragged.row_begin[i + 1] - ragged.row_begin[i] - sequence.skip;
    const std::int32_t wanted = std::min(sequence.logits, kept);
    if (wanted <= 0)
      continue;
    float *to = append_rows(where(*sequence.out), wanted * vocab);
    for (std::int32_t done = 0; done < wanted; done += kLogitsSlice) {
      const std::int32_t rows = std::min(wanted - done, kLogitsSlice);
      row_ids.resize(static_cast<std::size_t>(rows));
      std::iota(row_ids.begin(), row_ids.end(), ragged.row_begin[i + 1] - wanted + done);
      abk_logits_args args{};
      args.rows = rows;
      args.row_ids = row_ids.data();
      args.x = x;
      args.norm = raw(norm);
      args.epsilon = pass.spec.rms_norm_eps;
      args.head = raw(head);
      args.out = pass.f32(pass.workspace.at().logits, vocab);
      args.scratch = pass.scratch();
      pass.run(ABK_OP_LOGITS, Part::kHead, args, [&] { return products(rows, {head}); });
      copy_rows_out(pass, to + done * vocab, args.out.span, rows * vocab);
    }
  }
}

} // namespace abyssal
