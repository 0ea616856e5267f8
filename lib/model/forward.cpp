#include "model/forward.h"

#include "base/cancel_flag.h"
#include "base/status.h"
#include "model/mtp.h"
#include "model/pass.h"
#include "model/ragged.h"

#include <algorithm>
#include <optional>

namespace abyssal {

namespace {

void check_cancelled(std::span<const PassSequence> sequences) {
  for (const PassSequence &sequence : sequences) {
    const bool cancelled = sequence.cancelled != nullptr && sequence.cancelled->load(std::memory_order_relaxed);
    if (cancelled || is_set(sequence.cancel))
      fail(ABY_ERROR_CANCELLED, "the evaluation was cancelled");
  }
}

// Copies the rows of `from` that are kept to the end of each sequence's vector.
template <typename Element, typename Wanted>
void keep_rows(const Pass &pass, const Ragged &ragged, abk_span from, std::int64_t cols, Wanted &&wanted) {
  for (std::size_t i = 0; i < ragged.sequences.size(); ++i) {
    const PassSequence &sequence = ragged.sequences[i];
    std::vector<Element> *to = wanted(sequence);
    const std::int64_t rows = static_cast<std::int64_t>(sequence.tokens.size()) - sequence.skip;
    if (to == nullptr || rows <= 0)
      continue;
    const abk_span first{from.buffer,
                         from.offset + static_cast<std::uint64_t>((ragged.row_begin[i] + sequence.skip) * cols) *
                                           sizeof(Element)};
    copy_rows_out(pass, append_rows(*to, rows * cols), first, rows * cols);
  }
}

void keep_hidden(const Pass &pass, const Ragged &ragged, const Buffer &buffer, std::size_t slot, bool last) {
  keep_rows<float>(pass, ragged, buffer.at(0), pass.spec.hidden_size, [&](const PassSequence &sequence) {
    const bool wanted = sequence.keep_layers || (last && sequence.keep_hidden);
    return wanted ? &sequence.out->hidden[slot] : nullptr;
  });
}

void keep_routes(const Pass &pass, const Ragged &ragged, std::size_t layer, std::int64_t top_k) {
  const Workspace::Buffers &at = pass.workspace.at();
  keep_rows<std::int32_t>(pass, ragged, at.route_index.at(0), top_k, [&](const PassSequence &sequence) {
    return sequence.keep_routes ? &sequence.out->route_index[layer] : nullptr;
  });
  keep_rows<float>(pass, ragged, at.route_weight.at(0), top_k, [&](const PassSequence &sequence) {
    return sequence.keep_routes ? &sequence.out->route_weight[layer] : nullptr;
  });
}

void run_layers(const Pass &pass, const Ragged &ragged) {
  const ModelWeights &weights = *pass.model.weights;
  embed(pass, weights.embed);
  for (std::size_t i = 0; i < weights.layers.size(); ++i) {
    check_cancelled(ragged.sequences);
    const LayerWeights &layer = weights.layers[i];
    norm_add(pass, i > 0, layer.input_norm, pass.normed());
    keep_hidden(pass, ragged, pass.workspace.at().residual, i, false);
    layer.attention->run(pass, pass.model.cache[i]);
    norm_add(pass, true, layer.post_attention_norm, pass.normed());
    layer.feed_forward->run(pass);
    if (const std::int32_t top_k = pass.spec.layers[i].feed_forward->routed().top_k; top_k > 0)
      keep_routes(pass, ragged, i, top_k);
  }
}

// Final norm and head. With `all` the normed hidden states of every row are made, else only those of the logits' rows.
void finish(const Pass &pass, const Ragged &ragged, bool all) {
  const ModelWeights &weights = *pass.model.weights;
  const abk_rows final = pass.f32(pass.workspace.at().final, pass.spec.hidden_size);
  norm_add(pass, true, weights.norm, all ? final : abk_rows{});
  if (all)
    keep_hidden(pass, ragged, pass.workspace.at().final, weights.layers.size(), true);
  logits_of_last_rows(pass, ragged, all ? final : pass.residual(), all ? nullptr : weights.norm, weights.head,
                      [](SequenceOutputs &out) -> std::vector<float> & { return out.logits; });
}

} // namespace

void forward_pass(const DevicePtr &device, Workspace &workspace, const ForwardModel &model,
                  std::span<const PassSequence> sequences) {
  const Ragged ragged(sequences, *model.rope);
  workspace.reserve(ragged.workspace_size());
  const Batch batch(device, ragged.desc());
  const DrainOnExit drain(*device);
  Profile *profile = model.profile != nullptr && model.profile->on() ? model.profile : nullptr;
  const Pass pass{*device, workspace, model, *model.spec, ragged.rows(), batch.get(), sequences, profile};

  run_layers(pass, ragged);
  const bool mtp = std::any_of(sequences.begin(), sequences.end(), [](const PassSequence &s) { return s.mtp; });
  const bool all = mtp || std::any_of(sequences.begin(), sequences.end(),
                                      [](const PassSequence &s) { return s.keep_hidden || s.keep_layers; });
  finish(pass, ragged, all);
  if (mtp) {
    check_cancelled(sequences);
    mtp_pass(device, pass, ragged); // waits for the stream: its batch must outlive its ops
  }
  device->synchronize();
  check_cancelled(sequences);
}

} // namespace abyssal
