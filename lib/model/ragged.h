// The host side of a ragged batch: token ids, positions, block tables and the rope table of one pass.
#pragma once

#include "model/pass.h"

#include <span>
#include <vector>

namespace abyssal {

struct Ragged {
  Ragged(std::span<const PassSequence> sequences, const Rope &rope);

  std::int32_t rows() const noexcept { return row_begin.back(); }
  abk_batch_desc desc() const noexcept;
  WorkspaceSize workspace_size() const noexcept;

  std::span<const PassSequence> sequences;
  std::vector<std::int32_t> token_ids;   // [rows]
  std::vector<std::int32_t> row_begin;   // [sequences + 1]
  std::vector<std::int32_t> context;     // [sequences]
  std::vector<std::int32_t> block_table; // [sequences, table_stride]
  std::int32_t table_stride = 0;
  std::vector<float> rope_table; // [rows, rope_dim / 2, 2]
  std::int32_t rope_dim = 0;
};

// Makes room for `count` more elements and returns where they begin.
template <typename Element> Element *append_rows(std::vector<Element> &to, std::int64_t count) {
  const std::size_t old = to.size();
  to.resize(old + static_cast<std::size_t>(count));
  return to.data() + old;
}

// Queues a copy of `count` contiguous elements to the host.
template <typename Element> void copy_rows_out(const Pass &pass, Element *to, abk_span from, std::int64_t count) {
  pass.device.check(
      pass.device.api().copy_out(pass.device.stream(), to, from, static_cast<std::uint64_t>(count) * sizeof(Element)),
      "copy_out");
}

// Logits of the last rows that each sequence asks for, appended to the vector that `where` picks.
void logits_of_last_rows(const Pass &pass, const Ragged &ragged, abk_rows x, const WeightPtr &norm,
                         const WeightPtr &head, std::vector<float> &(*where)(SequenceOutputs &));

} // namespace abyssal
