// The packed kernels of every instruction set, called as the cpu backend calls them, against their definition: those of
// matrix tiles over emulated tiles on any processor, and over real ones where there are some.
#include "backends/cpu/device/cpu_device.h"
#include "backends/cpu/packed/quant_rows.h"
#include "base/dtype.h"
#include "base/status.h"
#include "packed_definition.h"
#include "tile_emulator.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

using namespace abyssal;
using namespace abyssal::test;

namespace {

struct KernelSet {
  std::string name;
  cpu::PackedKernelSets kernels;
};

// Lanes; tiles for any number of rows; and tiles from as many rows on as the backend takes them.
std::vector<KernelSet> kernel_sets() {
  const cpu::Isa isa = cpu::detect_isa();
  std::vector<KernelSet> sets;
  const auto add_tiles = [&](const char *name, const cpu::PackedKernels &lanes, const cpu::PackedKernels &tiles) {
    sets.push_back({name, {&lanes, &tiles, 1}});
    sets.push_back({concat(name, " of many rows"), {&lanes, &tiles}});
  };
  const cpu::PackedKernels &avx2 = cpu::avx2_packed_kernels(), &vnni = cpu::avx512_vnni_packed_kernels();
  sets.push_back({"avx2", {&avx2, nullptr}});
  sets.push_back({"avx_vnni over avx2", {&avx_vnni_over_avx2(), nullptr}});
  if (cpu::has_avx_vnni())
    sets.push_back({"avx_vnni", {&cpu::avx_vnni_packed_kernels(), nullptr}});
  add_tiles("tiles over avx2", avx2, tiles_over_avx2());
  if (isa >= cpu::Isa::kAvx512Vnni) {
    sets.push_back({"avx512_vnni", {&vnni, nullptr}});
    add_tiles("tiles over avx512_vnni", vnni, tiles_over_avx512_vnni());
  }
  if (isa >= cpu::Isa::kAmxInt8)
    add_tiles("amx_int8", vnni, cpu::amx_packed_kernels());
  return sets;
}

class Packed {
public:
  explicit Packed(const WeightData &w)
      : w_(*cpu::packed_form(w.dtype)),
        wide_(w.compute == ABY_DTYPE_I16 ? cpu::WideGroups::kAll : cpu::WideGroups::kOutliers) {
    w_.n = w.n;
    w_.k = w.k;
    auto *memory = memory_.take<std::byte>(cpu::packed_bytes(w_.kind, w.n, w.k));
    cpu::PackScratch scratch;
    for (std::int64_t tile = 0; tile < w_.tiles(); ++tile)
      cpu::pack_tile(w.dtype, w.data[0].data() + w.misalign, w_, tile, scratch,
                     memory + tile * w_.units() * cpu::layout_of(w_.kind).unit_bytes());
    w_.data = memory;
  }

  // The first `rows` of x, of [rows, n], in pieces of `step` rows of W.
  Values times(const cpu::PackedKernelSets &kernels, const Values &x, std::int64_t rows, std::int64_t step) const {
    cpu::Scratch quant_memory, tile_memory;
    const std::int64_t bytes = cpu::QuantRows::bytes(kernels, rows, w_);
    auto *memory = quant_memory.take<std::byte>(bytes);
    std::fill_n(memory, bytes, std::byte{0x5a}); // rows that are not there must not matter
    const cpu::QuantRows quant(kernels, rows, w_, memory);
    auto *rounded = tile_memory.take<std::byte>(quant.rounded_bytes());
    std::vector<float> row;
    for (std::int64_t panel = 0; panel < quant.panels(); ++panel) {
      quant.quantise(panel, wide_, w_.k, rounded, [&](std::int64_t r) {
        row.assign(x.begin() + r * w_.k, x.begin() + (r + 1) * w_.k);
        return row.data();
      });
    }
    std::vector<float> out(static_cast<std::size_t>(rows * w_.n));
    auto *scratch = tile_memory.take<float>(cpu::tile_scratch(quant));
    for (std::int64_t i = 0; i < w_.n; i += step)
      cpu::packed_product(w_, i, std::min(step, w_.n - i), quant, scratch, out.data() + i, w_.n);
    return {out.begin(), out.end()};
  }

private:
  cpu::PackedMatrix w_;
  cpu::WideGroups wide_;
  cpu::Scratch memory_;
};

// Rows in which some groups stand far above the others.
Values activations(Random &random, std::int64_t rows, std::int64_t k) {
  Values x = random_values(random, rows * k);
  for (std::int64_t r = 0; r < rows; ++r)
    x[static_cast<std::size_t>(r * k + r * 37 % k)] *= 30;
  return x;
}

void check_sets(aby_dtype format, aby_dtype compute, std::int64_t n, std::int64_t k) {
  constexpr std::int64_t kMost = 50;
  Random random(static_cast<unsigned>(n * k));
  WeightLike like;
  like.dtype = format;
  like.compute = compute;
  const WeightData w = random_matrix(random, n, k, 1, like);
  const Values x = activations(random, kMost, k), want = packed_linear(x, kMost, w);
  const Packed packed(w);
  for (const KernelSet &set : kernel_sets()) {
    for (const std::int64_t rows : {1, 2, 4, 5, 8, 9, 16, 17, 31, 32, 50}) {
      INFO(concat(set.name, " ", dtype_name(format), " ", dtype_name(compute), " n ", n, " k ", k, " rows ", rows));
      CHECK(packed.times(set.kernels, x, rows, 64) == Values(want.begin(), want.begin() + rows * n));
      CHECK_FALSE(emulated::configured());
    }
  }
}

} // namespace

TEST_CASE("packed kernels of every instruction set give the documented bits, matrix tiles too") {
  if (cpu::detect_isa() < cpu::Isa::kAmxInt8)
    MESSAGE("skipped: amx_int8 itself, which this processor does not have; its kernels run on emulated tiles only");
  for (aby_dtype format = ABY_DTYPE_Q4_0; format <= ABY_DTYPE_MXFP4; ++format) {
    const std::int64_t block = dtype_block(format).elements;
    for (const aby_dtype compute : {ABY_DTYPE_I8, ABY_DTYPE_I16}) {
      check_sets(format, compute, 33, block);
      check_sets(format, compute, 80, 768);
    }
  }
}

TEST_CASE("matrix tiles multiply the extremes of activations and weights") {
  constexpr std::int64_t kN = 32, kK = 256, kRows = 20;
  Random random(5);
  WeightLike like;
  like.dtype = ABY_DTYPE_Q8_0;
  like.compute = ABY_DTYPE_I8;
  WeightData w = random_matrix(random, kN, kK, 1, like);
  for (std::size_t at = 0; at < static_cast<std::size_t>(kN * kK / 32); ++at) // blocks of a scale and 32 bytes
    std::fill_n(w.data[0].begin() + static_cast<std::ptrdiff_t>(w.misalign + at * 34 + 2), 32,
                static_cast<unsigned char>(at % 2 == 0 ? -128 : 127));
  Values x(static_cast<std::size_t>(kRows * kK));
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = i / 32 % 3 == 0 ? -1 : 1;
  const Values want = packed_linear(x, kRows, w);
  const Packed packed(w);
  for (const KernelSet &set : kernel_sets()) {
    INFO(set.name);
    CHECK(packed.times(set.kernels, x, kRows, kN) == want);
  }
}

TEST_CASE("tiles are taken from 32 rows on, and by layouts in groups of 32") {
  const cpu::PackedKernelSets sets{&cpu::avx2_packed_kernels(), &tiles_over_avx2()};
  const auto taken = [&](aby_dtype format, std::int64_t rows) {
    cpu::PackedMatrix form = *cpu::packed_form(format);
    form.n = 16;
    form.k = 256;
    return &cpu::QuantRows(sets, rows, form, nullptr).kernels() == sets.tiles;
  };
  CHECK_FALSE(taken(ABY_DTYPE_Q4_0, 31));
  CHECK(taken(ABY_DTYPE_Q4_0, 32));
  CHECK(taken(ABY_DTYPE_Q4_K, 512));
  CHECK_FALSE(taken(ABY_DTYPE_Q6_K, 512));
  CHECK(cpu::packed_kernels_for(cpu::Isa::kAvx512Bf16).tiles == nullptr);
  CHECK(cpu::packed_kernels_for(cpu::Isa::kAmxInt8).tiles == &cpu::amx_packed_kernels());
}

TEST_CASE("emulated tiles refuse what the processor would") {
  using namespace emulated;
  std::uint8_t config[64] = {1};
  CHECK_THROWS_WITH(zero(0), "tiles: used before they are configured");
  config[16] = 64; // bytes a row
  CHECK_THROWS_WITH(configure(config), "tiles: tile 0 has rows or bytes only");
  config[48] = 16; // rows
  config[18] = 32;
  config[49] = 16;
  config[20] = 64;
  config[50] = 4;
  configure(config);
  CHECK_THROWS_WITH(dot(0, 1, 2), "tiles: rows of 32 bytes times 4 rows");
  CHECK_THROWS_WITH(zero(3), "tiles: tile 3 is not configured");
  release();
  CHECK_THROWS_WITH(zero(0), "tiles: used before they are configured");
}

TEST_CASE("the level of matrix tiles is told, and taken only where Linux names the processor's") {
  CHECK(cpu::isa_text(cpu::Isa::kAmxInt8) == "avx2 avx512 avx512_vnni avx512_bf16 amx_int8");
  CHECK(cpu::isa_text(cpu::Isa::kAvx512Bf16) == "avx2 avx512 avx512_vnni avx512_bf16");
  std::ifstream file("/proc/cpuinfo");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const bool named = text.find("amx_tile") != std::string::npos && text.find("amx_int8") != std::string::npos;
  CHECK((named || cpu::detect_isa() < cpu::Isa::kAmxInt8));
}
