#include "backends/cpu/ceilings.h"

#include "backends/cpu/device/isa.h"
#include "backends/cpu/device/matmul.h"
#include "backends/cpu/register_loops.h"
#include "backends/host/host_buffer.h"
#include "base/thread_pool.h"

#include <dnnl.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace abyssal::cpu {

namespace {

constexpr int kRepeats = 3;

template <typename Body> double seconds(Body &&body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// The number that a file of the system holds after `key`; none where there is no such file or number.
std::optional<std::uint64_t> number_in(const char *path, const std::string &key = {}) {
  std::ifstream file(path);
  std::string word;
  while (!key.empty() && file >> word && word != key)
    ;
  std::uint64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

// Memory that can be taken without pushing anything out, within the limit that a container sets.
std::uint64_t free_memory() {
  std::uint64_t bytes = number_in("/proc/meminfo", "MemAvailable:").value_or(0) * 1024;
  const auto most = number_in("/sys/fs/cgroup/memory.max"), used = number_in("/sys/fs/cgroup/memory.current");
  if (most && used)
    bytes = std::min(bytes, *most - std::min(*most, *used));
  return bytes;
}

// One thread's block of columns of the product.
class MatmulBlock {
public:
  MatmulBlock(std::int64_t m, std::int64_t n, std::int64_t k, aby_dtype dtype)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using type = dnnl::memory::data_type;
    const type x_type = dtype == ABY_DTYPE_I8 ? type::u8 : dtype == ABY_DTYPE_BF16 ? type::bf16 : type::f32;
    const type w_type = dtype == ABY_DTYPE_I8 ? type::s8 : x_type;
    const type out_type = dtype == ABY_DTYPE_I8 ? type::s32 : type::f32;
    const dnnl::matmul::primitive_desc desc(engine_, {{m, k}, x_type, dnnl::memory::format_tag::ab},
                                            {{k, n}, w_type, dnnl::memory::format_tag::any},
                                            {{m, n}, out_type, dnnl::memory::format_tag::ab});
    primitive_ = dnnl::matmul(desc);
    x_ = make(desc.src_desc());
    w_ = make(desc.weights_desc());
    out_ = make(desc.dst_desc());
  }
  void run() {
    primitive_.execute(stream_, {{DNNL_ARG_SRC, x_}, {DNNL_ARG_WEIGHTS, w_}, {DNNL_ARG_DST, out_}});
    stream_.wait();
  }

private:
  dnnl::memory make(const dnnl::memory::desc &desc) {
    dnnl::memory memory(desc, engine_);
    std::fill_n(static_cast<std::uint8_t *>(memory.get_data_handle()), desc.get_size(), std::uint8_t{1});
    return memory;
  }
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::matmul primitive_;
  dnnl::memory x_, w_, out_;
};

} // namespace

ReadRate measure_read_rate(unsigned threads) {
  constexpr std::uint64_t kMost = std::uint64_t{2} << 30, kSlice = 1 << 20, kLeast = 64 * kSlice;
  constexpr std::uint64_t kWords = kSlice / sizeof(std::uint64_t);
  ThreadPool pool(threads);
  const std::uint64_t bytes = std::clamp(free_memory() / 2 / kSlice * kSlice, kLeast, kMost);
  const HostMapping memory(bytes);
  memory.use_large_pages();
  auto *words = reinterpret_cast<std::uint64_t *>(memory.data());
  const auto slices = static_cast<std::int64_t>(bytes / kSlice);
  const auto slice_at = [&](std::int64_t slice) { return words + static_cast<std::uint64_t>(slice) * kWords; };
  // Written first: pages that nobody wrote to are all one page.
  pool.run(slices, [&](std::int64_t slice, unsigned) { std::fill_n(slice_at(slice), kWords, std::uint64_t{1}); });
  std::vector<std::uint64_t> sums(pool.size() * 16, 0);
  double best = 0;
  for (int i = 0; i < kRepeats; ++i) {
    const double time = seconds([&] {
      pool.run(slices, [&](std::int64_t slice, unsigned worker) {
        const std::uint64_t *at = slice_at(slice);
        std::uint64_t a = 0, b = 0, c = 0, d = 0;
        for (std::uint64_t j = 0; j < kWords; j += 4) {
          a += at[j];
          b += at[j + 1];
          c += at[j + 2];
          d += at[j + 3];
        }
        sums[worker * 16] += a + b + c + d; // used, so that the reads cannot be left out
      });
    });
    best = std::max(best, static_cast<double>(bytes) / time);
  }
  std::uint64_t total = 0;
  for (const std::uint64_t sum : sums)
    total += sum;
  return {total == kRepeats * bytes / sizeof(std::uint64_t) ? best : 0, bytes};
}

double measure_matmul_rate(unsigned threads, aby_dtype dtype) {
  const Isa isa = detect_isa();
  if ((dtype == ABY_DTYPE_BF16 && isa < Isa::kAvx512Bf16) || (dtype == ABY_DTYPE_I8 && isa < Isa::kAvx512))
    return 0;
  constexpr std::int64_t kM = 512, kN = 8192, kK = 2048, kRuns = 2;
  ThreadPool pool(threads);
  const std::int64_t columns = kN / pool.size();
  std::vector<std::unique_ptr<MatmulBlock>> blocks(pool.size());
  double best = 0;
  for (int i = 0; i <= kRepeats; ++i) { // the first run prepares
    const double time = seconds([&] {
      pool.run(pool.size(), [&](std::int64_t block, unsigned) {
        const SingleOpenMpThread single;
        auto &mine = blocks[static_cast<std::size_t>(block)];
        if (!mine)
          mine = std::make_unique<MatmulBlock>(kM, columns, kK, dtype);
        for (std::int64_t run = 0; run < kRuns; ++run)
          mine->run();
      });
    });
    if (i > 0)
      best = std::max(best, 2.0 * static_cast<double>(kRuns * kM * columns * pool.size() * kK) / time);
  }
  return best;
}

std::vector<LoopRate> measure_integer_loops(unsigned threads) {
  const Isa isa = detect_isa();
  if (isa < Isa::kAvx2 || isa >= Isa::kAvx512)
    return {};
  constexpr std::int64_t kOps = std::int64_t{1} << 34; // of a thread
  ThreadPool pool(threads);
  std::vector<std::int32_t> sums(pool.size() * 16, 0);
  std::vector<LoopRate> rates;
  for (const RegisterLoop &loop : isa == Isa::kAvxVnni ? avx_vnni_register_loops() : avx2_register_loops()) {
    const std::int64_t rounds = kOps / loop.ops;
    double best = 0;
    for (int i = 0; i < kRepeats; ++i) {
      const double time = seconds([&] {
        pool.run(pool.size(), [&](std::int64_t task, unsigned) {
          sums[static_cast<std::size_t>(task) * 16] = loop.run(rounds, 100, 7);
        });
      });
      best = std::max(best, static_cast<double>(rounds * loop.ops * pool.size()) / time);
    }
    rates.push_back({loop.name, loop.weight_bits, best});
  }
  return rates;
}

} // namespace abyssal::cpu
