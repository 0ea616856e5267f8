#include "backends/cpu/device/cpu_device.h"

#include "backends/cpu/device/cpu_weight.h"
#include "backends/cpu/kernels/kernels_avx512_vbmi.h"
#include "base/status.h"

#include <unistd.h>

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
      isa_text_(isa_text(isa_)) {
  for (unsigned i = 0; i < pool_.size(); ++i)
    workers_.push_back(std::make_unique<Worker>());
}

abk_device_info CpuDevice::info() const noexcept {
  const auto pages = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES));
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return {name_.c_str(), isa_text_.c_str(), pool_.size(), pages * page, kImageLayout};
}

} // namespace abyssal::cpu
