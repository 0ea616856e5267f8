#include "model/mtp.h"

#include "base/status.h"

#include <algorithm>

namespace abyssal {

namespace {

// The pairs of one sequence: rows first .. of the main pass, cached from position context + first - 1 on.
struct Pairs {
  std::size_t sequence;
  std::int32_t first;
  std::int32_t count;
};

std::vector<Pairs> pairs_of(const Ragged &ragged) {
  std::vector<Pairs> pairs;
  for (std::size_t i = 0; i < ragged.sequences.size(); ++i) {
    const PassSequence &sequence = ragged.sequences[i];
    const std::int32_t first = std::max(sequence.replay, sequence.context == 0 ? 1 : 0);
    const auto count = static_cast<std::int32_t>(sequence.tokens.size()) - first;
    if (sequence.mtp && count > 0)
      pairs.push_back({i, first, count});
  }
  return pairs;
}

// The hidden states before each pair's token, gathered into workspace.mtp_hidden.
void gather_hidden(const Pass &main, const Ragged &ragged, const std::vector<Pairs> &pairs) {
  const Workspace::Buffers &at = main.workspace.at();
  const std::uint64_t row_bytes = static_cast<std::uint64_t>(main.spec.hidden_size) * sizeof(float);
  std::uint64_t to = 0;
  for (const Pairs &p : pairs) {
    const PassSequence &sequence = ragged.sequences[p.sequence];
    auto rows = static_cast<std::uint64_t>(p.count);
    std::int32_t source = ragged.row_begin[p.sequence] + p.first - 1;
    if (p.first == 0) {
      main.device.check(main.device.api().copy_in(main.device.stream(), at.mtp_hidden.at(to * row_bytes),
                                                  sequence.previous_hidden.data(), row_bytes),
                        "copy_in");
      ++to;
      ++source;
      --rows;
    }
    if (rows > 0)
      main.device.check(main.device.api().copy(main.device.stream(), at.mtp_hidden.at(to * row_bytes),
                                               at.final.at(static_cast<std::uint64_t>(source) * row_bytes),
                                               rows * row_bytes),
                        "copy");
    to += rows;
  }
}

// residual = eh_proj([enorm(embedding) ; hnorm(hidden)])
void combine(const Pass &pass, const MtpWeights &w) {
  const Workspace::Buffers &at = pass.workspace.at();
  const std::int64_t hidden = pass.spec.hidden_size;
  embed(pass, w.embed);
  abk_rows pair = pass.act(at.mtp_pair, 2 * hidden);
  abk_rows half = pair;
  half.cols = static_cast<std::int32_t>(hidden);
  norm_add(pass, false, w.enorm, half);

  abk_norm_add_args norm{};
  norm.rows = pass.rows;
  norm.residual = pass.f32(at.mtp_hidden, hidden);
  norm.weight = raw(w.hnorm);
  norm.epsilon = pass.spec.rms_norm_eps;
  norm.out = half;
  norm.out.span.offset += static_cast<std::uint64_t>(hidden) * dtype_size(pair.dtype);
  pass.run(ABK_OP_NORM_ADD, Part::kNorms, norm);
  linear(pass, Part::kEmbedding, pair, w.eh_proj, nullptr, pass.residual());
}

} // namespace

void mtp_pass(const DevicePtr &device, const Pass &main, const Ragged &ragged) {
  const MtpWeights &w = *main.model.weights->mtp;
  const std::uint64_t hidden = static_cast<std::uint64_t>(main.spec.hidden_size);
  const std::vector<Pairs> pairs = pairs_of(ragged);
  gather_hidden(main, ragged, pairs); // before last_hidden, where previous_hidden may be, is written
  // The newest token's hidden state is what the next evaluation's first pair needs.
  for (std::size_t i = 0; i < ragged.sequences.size(); ++i) {
    if (!ragged.sequences[i].mtp)
      continue;
    std::vector<float> &last = ragged.sequences[i].out->last_hidden;
    last.resize(hidden);
    const auto row = static_cast<std::uint64_t>(ragged.row_begin[i + 1] - 1);
    copy_rows_out(main, last.data(), main.workspace.at().final.at(row * hidden * sizeof(float)),
                  static_cast<std::int64_t>(hidden));
  }
  if (pairs.empty())
    return;

  std::vector<PassSequence> shares;
  for (const Pairs &p : pairs) {
    PassSequence share = ragged.sequences[p.sequence];
    share.tokens = share.tokens.subspan(static_cast<std::size_t>(p.first));
    share.context += p.first - 1;
    share.skip = std::max(share.skip - p.first, 0);
    shares.push_back(share);
  }
  const Ragged pair_rows(shares, *main.model.rope);
  const Batch batch(device, pair_rows.desc());
  const DrainOnExit drain(*device);
  const Pass pass{main.device,      main.workspace, main.model, main.spec,
                  pair_rows.rows(), batch.get(),    shares,     main.profile};
  combine(pass, w);
  norm_add(pass, false, w.layer.input_norm, pass.normed());
  w.layer.attention->run(pass, pass.model.cache[pass.model.weights->layers.size()]);
  norm_add(pass, true, w.layer.post_attention_norm, pass.normed());
  w.layer.feed_forward->run(pass);
  norm_add(pass, true, nullptr, abk_rows{});
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (!shares[i].keep_hidden)
      continue;
    const std::int32_t begin = pair_rows.row_begin[i] + shares[i].skip;
    const std::int64_t rows = pair_rows.row_begin[i + 1] - begin;
    const auto offset = static_cast<std::uint64_t>(begin) * hidden * sizeof(float);
    copy_rows_out(pass, append_rows(shares[i].out->mtp_hidden, rows * pass.spec.hidden_size),
                  pass.workspace.at().residual.at(offset), rows * pass.spec.hidden_size);
  }
  logits_of_last_rows(pass, pair_rows, pass.residual(), w.head_norm, w.head,
                      [](SequenceOutputs &out) -> std::vector<float> & { return out.mtp_logits; });
  device->synchronize();
}

} // namespace abyssal
