// Device memory of one pass: activations and the ops' scratch, sized for the most rows seen and reused.
#pragma once

#include "device/device.h"
#include "model/arena.h"
#include "model/spec.h"

#include <cstdint>

namespace abyssal {

// Sizes that a workspace is made for.
struct WorkspaceSize {
  std::int32_t rows = 0;        // tokens of one pass
  std::int32_t context = 0;     // longest sequence in it, the new tokens included
  std::int32_t logits_rows = 0; // rows that logits are computed for at a time
};

class Workspace {
public:
  Workspace(DevicePtr device, const ModelSpec &spec, aby_dtype activations, std::uint32_t absorb_below, bool mtp);

  // Makes every buffer at least that large. Throws NO_MEMORY, with the workspace as before.
  void reserve(const WorkspaceSize &size);

  // What reserve would allocate in all.
  std::uint64_t bytes_for(const WorkspaceSize &size) const;

  // Rows of `cols` elements in one of the buffers below.
  static abk_rows rows(const Buffer &buffer, aby_dtype dtype, std::int64_t cols);

  aby_dtype activations() const noexcept { return activations_; }

  struct Buffers {
    Buffer residual;     // F32 [rows, hidden]
    Buffer normed;       // activations [rows, hidden]
    Buffer delta;        // F32 [rows, hidden]
    Buffer final;        // F32 [rows, hidden]: after the final norm
    Buffer route_index;  // I32 [rows, top_k]
    Buffer route_weight; // F32 [rows, top_k]
    Buffer logits;       // F32 [logits_rows, vocab]
    Buffer mtp_pair;     // activations [rows, 2 * hidden]: [enorm(embedding) ; hnorm(hidden)]
    Buffer mtp_hidden;   // F32 [rows, hidden]: hidden states of the tokens before
    Buffer arena;        // of the layers' parts, one after the other
    Buffer scratch;      // of the ops
  };
  const Buffers &at() const noexcept { return buffers_; }

private:
  struct Sizes;
  Sizes sizes_for(const WorkspaceSize &size) const;
  PassShape shape_of(const WorkspaceSize &size) const noexcept;
  std::uint64_t arena_bytes(const WorkspaceSize &size) const;
  std::uint64_t scratch_bytes(const WorkspaceSize &size) const;

  DevicePtr device_;
  ModelSpec spec_;
  aby_dtype activations_;
  std::uint32_t absorb_below_;
  bool mtp_;
  std::vector<LayerSpec> layers_; // each kind once
  WorkspaceSize size_;
  Buffers buffers_;
};

} // namespace abyssal
