#include "backends/cpu/device/cpu_device.h"

#include "backends/cpu/device/cpu_weight.h"
#include "backends/cpu/kernels/kernels_avx512_vbmi.h"
#include "base/status.h"
#include "base/usable_memory.h"

namespace abyssal::cpu {

namespace {

constexpr unsigned kMostThreads = 1024;

unsigned checked_threads(unsigned threads) {
  if (threads > kMostThreads)
    fail(ABY_ERROR_INVALID_ARGUMENT, "threads is ", threads, "; expected at most ", kMostThreads);
  return threads;
}

} // namespace

CpuDevice::CpuDevice(unsigned threads)
    : isa_(detect_isa()), kernels_(&best_kernels_for(isa_)), packed_kernels_(packed_kernels_for(isa_)),
      lane_kernels_(&lane_kernels_for(isa_)), pool_(checked_threads(threads)), name_(processor_name()),
      isa_text_(isa_text(isa_)), memory_(usable_memory()) {
  for (unsigned i = 0; i < pool_.size(); ++i)
    workers_.push_back(std::make_unique<Worker>());
}

abk_device_info CpuDevice::info() const noexcept {
  return {name_.c_str(), isa_text_.c_str(), pool_.size(), memory_, kImageLayout};
}

} // namespace abyssal::cpu
