// One forward pass while it runs: where its rows are, and how an op of it is queued.
#pragma once

#include "model/forward.h"
#include "model/profile.h"

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <span>

namespace abyssal {

struct Pass {
  Device &device;
  const Workspace &workspace;
  const ForwardModel &model;
  const ModelSpec &spec;
  std::int32_t rows;      // tokens of the batch
  const abk_batch *batch; // uploaded
  std::span<const PassSequence> sequences;
  Profile *profile; // null: nothing is measured

  abk_rows residual() const { return f32(workspace.at().residual, spec.hidden_size); }
  abk_rows delta() const { return f32(workspace.at().delta, spec.hidden_size); }
  abk_rows normed() const { return act(workspace.at().normed, spec.hidden_size); }
  abk_rows f32(const Buffer &buffer, std::int64_t cols) const { return Workspace::rows(buffer, ABY_DTYPE_F32, cols); }
  abk_rows act(const Buffer &buffer, std::int64_t cols) const {
    return Workspace::rows(buffer, workspace.activations(), cols);
  }
  abk_span scratch() const { return workspace.at().scratch.at(0); }
  // Memory for what lasts no longer than a layer's part.
  Arena arena() const { return Arena(workspace.at().arena.at(0)); }

  // Queues an op. work(), what it has to do at least, is asked for only when the pass is measured: the stream is then
  // synchronised before and after the op.
  template <typename Args, typename WorkOf> void run(abk_op op, Part part, const Args &args, WorkOf &&work) const {
    if (profile == nullptr) {
      queue(op, &args);
      return;
    }
    device.synchronize();
    const auto begin = std::chrono::steady_clock::now();
    queue(op, &args);
    device.synchronize();
    profile->record(part, work(), std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  template <typename Args> void run(abk_op op, Part part, const Args &args) const {
    run(op, part, args, [] { return Work{}; });
  }

private:
  void queue(abk_op op, const void *args) const {
    device.check(device.api().run(device.stream(), batch, op, args), "run");
  }
};

// Products of so many rows with each of the weights; null ones are none.
inline Work products(std::int64_t rows, std::initializer_list<WeightPtr> weights) {
  Work work;
  for (const WeightPtr &weight : weights) {
    if (!weight)
      continue;
    work.flops += 2 * static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(weight->n() * weight->k());
    work.bytes += weight->size().bytes;
  }
  return work;
}

// out = x w^T + bias.
void linear(const Pass &pass, Part part, abk_rows x, const WeightPtr &w, const WeightPtr &bias, abk_rows out);

// residual += delta, unless this is the first use of the residual; then norm of it into out.
void norm_add(const Pass &pass, bool add, const WeightPtr &weight, abk_rows out);

// residual = the embedding of the batch's tokens.
void embed(const Pass &pass, const WeightPtr &table);

} // namespace abyssal
