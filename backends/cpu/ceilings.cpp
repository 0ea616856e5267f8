#include "backends/cpu/ceilings.h"

#include "backends/cpu/device/isa.h"
#include "backends/cpu/device/matmul.h"
#include "base/thread_pool.h"

#include <dnnl.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

namespace abyssal::cpu {

namespace {

constexpr int kRepeats = 3;

template <typename Body> double seconds(Body &&body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
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

double measure_read_bandwidth(unsigned threads) {
  constexpr std::int64_t kBytes = std::int64_t{1} << 30, kSlice = 1 << 20, kWords = kSlice / 8;
  ThreadPool pool(threads);
  const std::vector<std::uint64_t> memory(static_cast<std::size_t>(kBytes / 8), 1);
  std::vector<std::uint64_t> sums(pool.size() * 16, 0);
  double best = 0;
  for (int i = 0; i < kRepeats; ++i) {
    const double time = seconds([&] {
      pool.run(kBytes / kSlice, [&](std::int64_t slice, unsigned worker) {
        const std::uint64_t *at = memory.data() + slice * kWords;
        std::uint64_t a = 0, b = 0, c = 0, d = 0;
        for (std::int64_t j = 0; j < kWords; j += 4) {
          a += at[j];
          b += at[j + 1];
          c += at[j + 2];
          d += at[j + 3];
        }
        sums[worker * 16] += a + b + c + d; // used, so that the reads cannot be left out
      });
    });
    best = std::max(best, static_cast<double>(kBytes) / time);
  }
  std::uint64_t total = 0;
  for (const std::uint64_t sum : sums)
    total += sum;
  return total > 0 ? best : 0;
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

} // namespace abyssal::cpu
