// The CPU as a device: worker threads, their private scratch, and the kernels of its instruction set.
#pragma once

#include "backends/cpu/attention/lane_kernels.h"
#include "backends/cpu/device/matmul.h"
#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/packed/pack.h"
#include "backends/cpu/packed/packed_kernels.h"
#include "base/thread_pool.h"
#include "device/backend.h"

#include <memory>
#include <string>
#include <vector>

namespace abyssal::cpu {

// Memory that grows to the most that was asked for and is reused. Not cleared.
class Scratch {
public:
  template <typename Element> Element *take(std::int64_t count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(Element) + 64;
    if (bytes > size_) {
      memory_.reset(); // first, so that both never exist at once
      size_ = 0;
      memory_.reset(new std::byte[bytes]);
      size_ = bytes;
    }
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.get());
    return reinterpret_cast<Element *>(memory_.get() + (64 - address % 64) % 64);
  }

private:
  std::unique_ptr<std::byte[]> memory_;
  std::size_t size_ = 0;
};

// What one worker has to itself.
struct Worker {
  Matmul matmul;
  Scratch weights;   // a widened block of a weight
  Scratch tile;      // padded rows of a product
  Scratch sums;      // partial results
  Scratch middle;    // of an MLP
  Scratch attention; // of Flash
  PackScratch pack;
};

class CpuDevice {
public:
  explicit CpuDevice(unsigned threads);

  const Kernels &kernels() const noexcept { return *kernels_; }
  const PackedKernelSets &packed_kernels() const noexcept { return packed_kernels_; }
  const LaneKernels &lane_kernels() const noexcept { return *lane_kernels_; }
  // Whether BF16 products run in bf16 hardware; else they are widened, with the same rounding of the activations.
  bool has_bf16() const noexcept { return isa_ >= Isa::kAvx512Bf16; }
  unsigned threads() const noexcept { return pool_.size(); }
  abk_device_info info() const noexcept;

  // Runs body(task, worker) on the pool, with OpenMP kept to one thread.
  template <typename Body> void run(std::int64_t tasks, Body &&body) {
    pool_.run(tasks, [&](std::int64_t task, unsigned worker) {
      const SingleOpenMpThread single;
      body(task, *workers_[worker]);
    });
  }

  // Scratch of an op as a whole, used by the one op that runs at a time.
  Scratch &op_scratch() noexcept { return op_scratch_; }
  Scratch &second_scratch() noexcept { return second_scratch_; } // where one is not enough

  static CpuDevice *from(abk_device *handle) noexcept { return reinterpret_cast<CpuDevice *>(handle); }
  static CpuDevice &of(abk_stream *stream) noexcept { return *reinterpret_cast<CpuDevice *>(stream); }

private:
  Isa isa_;
  const Kernels *kernels_;
  PackedKernelSets packed_kernels_;
  const LaneKernels *lane_kernels_;
  ThreadPool pool_;
  std::vector<std::unique_ptr<Worker>> workers_;
  Scratch op_scratch_, second_scratch_;
  std::string name_, isa_text_;
  std::uint64_t memory_; // bytes
};

} // namespace abyssal::cpu
